import type { IsolationLack } from '../contract/machines.ts';
import type { HostFacts } from './facts.ts';

/*
 * What this computer can and cannot do for machines: each check is a decision on facts that were read elsewhere. `fail` is
 * for what machines cannot do without, `warn` for what makes them slower or keeps them apart less.
 */
const GIB = 1024 ** 3;
const DAY_MS = 24 * 3_600_000;
/** Distributions mend QEMU and the kernel every few weeks. */
const OLD_DAYS = 180;
const QEMU_MIN = 7.2;

export type Finding = {
  status: 'pass' | 'warn' | 'fail';
  /** What was found. */
  detail: string;
  /** Why it matters, and what to do. Only where it is no pass. */
  why?: string;
  fix?: string;
};
export type Check = { name: string; decide: (facts: HostFacts) => Finding };

const pass = (detail: string): Finding => ({ status: 'pass', detail });
const warn = (detail: string, why: string, fix: string): Finding => ({ status: 'warn', detail, why, fix });
const fail = (detail: string, why: string, fix: string): Finding => ({ status: 'fail', detail, why, fix });

/** In the order of dependence. */
export const CHECKS: readonly Check[] = [
  { name: 'QEMU', decide: checkQemu },
  { name: 'QEMU age', decide: checkQemuAge },
  { name: 'QEMU sandbox', decide: checkSandbox },
  { name: 'tools', decide: checkTools },
  { name: 'data directory', decide: checkDataDir },
  { name: 'guest image', decide: checkImage },
  { name: 'accelerator', decide: checkAccelerator },
  { name: 'user ids', decide: lackCheck('a user id per machine', 'every machine gets a user id of its own') },
  {
    name: 'namespaces',
    decide: lackCheck(
      /^(namespaces|a root directory)/,
      'every machine gets mount, pid, ipc, uts, cgroup and network namespaces and a root directory of its own',
    ),
  },
  { name: 'cgroup v2 cpu', decide: lackCheck('a limit on cpu', 'every machine gets a limit on CPU time') },
  { name: 'cgroup v2 memory', decide: lackCheck('a limit on memory', 'every machine gets a limit on memory, and no swap') },
  { name: 'cgroup v2 io', decide: lackCheck('a limit on io', 'every machine gets a limit on reading and writing') },
  { name: 'cgroup v2 pids', decide: lackCheck('a limit on pids', 'every machine gets a limit on processes') },
  { name: 'kernel', decide: checkKernel },
  { name: 'CPU faults', decide: checkVulnerabilities },
  { name: 'microcode', decide: checkMicrocode },
  { name: 'SMT', decide: checkSmt },
  { name: 'KSM', decide: checkKsm },
  { name: 'swap', decide: checkSwap },
  { name: 'disk', decide: checkDisk },
  { name: 'memory', decide: checkMemory },
];

function checkQemu({ qemu }: HostFacts): Finding {
  const install = 'apt-get install qemu-system-x86, on Debian 12 or newer';
  if (!qemu.ok) return fail(qemu.why, 'every machine is a QEMU process', install);
  const { version, machineType } = qemu.value;
  if (Number.parseFloat(version) < QEMU_MIN)
    return fail(`QEMU ${version}`, `hostd is written for ${QEMU_MIN} and newer: older ones lack options it gives`, install);
  return pass(`QEMU ${version}, ${machineType}`);
}

function checkQemuAge({ qemu, now }: HostFacts): Finding {
  if (!qemu.ok) return fail('QEMU is not there', 'every machine is a QEMU process', 'apt-get install qemu-system-x86');
  return decideAge('QEMU', qemu.value.builtAt, now, 'apt-get update && apt-get install qemu-system-x86, then restart hostd');
}

function checkKernel({ kernel, now }: HostFacts): Finding {
  const name = `Linux ${kernel.release}`;
  if (kernel.builtAt === null)
    return warn(
      `${name}, whose age its build does not tell`,
      'under KVM a fault in the kernel is a fault in the wall between machines',
      'see with your distribution whether this kernel still gets security updates',
    );
  return decideAge(name, kernel.builtAt, now, 'install your distribution’s current kernel and restart the computer');
}

function decideAge(name: string, builtAt: number, now: number, fix: string): Finding {
  const days = Math.floor((now - builtAt) / DAY_MS);
  const detail = `${name}, built ${new Date(builtAt).toISOString().slice(0, 10)}, ${days} days ago`;
  if (days <= OLD_DAYS) return pass(detail);
  return warn(detail, `faults that let a guest out have been mended since: nothing older than ${OLD_DAYS} days`, fix);
}

function checkSandbox({ sandbox }: HostFacts): Finding {
  if (sandbox.ok) return pass('QEMU runs under its system call filter (seccomp)');
  return fail(
    sandbox.why,
    'a QEMU that a guest has taken over could start programs and use every system call',
    'use a kernel with CONFIG_SECCOMP_FILTER and your distribution’s QEMU, which is built with libseccomp',
  );
}

function checkTools({ missingPackages }: HostFacts): Finding {
  if (missingPackages.length === 0) return pass('mmdebstrap, e2fsprogs, xfsprogs, bubblewrap and util-linux are installed');
  const names = missingPackages.join(' ');
  return fail(`missing: ${names}`, 'they build the guest image, copy disks and make the jail', `apt-get install ${names}`);
}

function checkDataDir({ volume, dataDir }: HostFacts): Finding {
  if (!volume.ok) return fail(`${dataDir}: ${volume.why}`, 'images, machines and snapshots are kept there', 'set HOSTD_DATA_DIR');
  const detail = `${dataDir}: ${volume.value.detail}`;
  if (volume.value.reflink) return pass(detail);
  return warn(
    detail,
    'forks and resumes copy whole files instead of sharing blocks (reflink)',
    'put HOSTD_DATA_DIR on XFS or btrfs, or run as root',
  );
}

function checkImage({ imageBuilt, imageId }: HostFacts): Finding {
  if (imageBuilt) return pass(imageId);
  return warn(`${imageId} is not built`, 'a machine boots from it', 'npx node hostd/guest/image/build.ts (about a minute)');
}

function checkAccelerator({ accelerator }: HostFacts): Finding {
  if (accelerator === null)
    return warn(
      'not probed',
      'the probe boots the guest image under KVM',
      'npx node hostd/guest/image/build.ts, then run this again',
    );
  if (!accelerator.ok) return fail(accelerator.why, 'without QEMU there is no machine', 'see the check of QEMU');
  const { reason } = accelerator.value;
  if (accelerator.value.accelerator === 'kvm') return pass(`KVM: ${reason}`);
  return warn(
    `software emulation (TCG): ${reason}`,
    'machines are 10 to 30 times slower, and QEMU’s authors call emulation no security boundary: one organization only',
    'run on hardware, or in a VM whose host offers nested KVM',
  );
}

/** hostd finds out itself what it may do; this only says it again. */
function lackCheck(what: string | RegExp, whole: string): Check['decide'] {
  const isMeant = (one: IsolationLack) => (typeof what === 'string' ? one.what === what : what.test(one.what));
  return ({ isolationLacks }) => {
    if (!isolationLacks.ok) return fail(isolationLacks.why, 'the jail of a machine cannot be made', 'mend what is named first');
    const lack = isolationLacks.value.find(isMeant);
    return lack ? warn(lack.found, `without ${lack.what} ${lack.why}`, lack.fix) : pass(whole);
  };
}

function checkVulnerabilities({ vulnerabilities }: HostFacts): Finding {
  const names = Object.keys(vulnerabilities).filter((name) => name !== 'old_microcode');
  if (names.length === 0)
    return warn(
      'the kernel does not list the faults of this CPU',
      'a guest may read the memory of another one through them',
      'mount /sys, or use a newer kernel',
    );
  const open = names.filter((name) => /vulnerable/i.test(vulnerabilities[name]!));
  if (open.length === 0) return pass(`${names.length} known faults of CPUs: not affected, or mitigated`);
  return warn(
    open.map((name) => `${name}: ${vulnerabilities[name]}`).join('; '),
    'a guest may read the memory of another one through them',
    'take mitigations=off from the kernel’s command line, update kernel and microcode, restart',
  );
}

function checkMicrocode({ microcode, vulnerabilities }: HostFacts): Finding {
  const why = 'mitigations of the CPU’s faults need its microcode';
  const detail = `revision ${microcode.revision ?? 'unknown'}`;
  if (microcode.isVirtual)
    return warn(
      `${detail}, as shown to a virtual machine`,
      `${why}, and this computer is a VM that cannot see it`,
      'ask whoever runs the computer below, or use hardware of your own',
    );
  const update = 'apt-get install intel-microcode or amd64-microcode (Debian’s non-free-firmware), restart';
  const isOld = Object.entries(vulnerabilities).some(([name, text]) =>
    name === 'old_microcode' ? /^vulnerable/i.test(text) : /no microcode/i.test(text),
  );
  if (isOld) return warn(`${detail}, older than what the kernel wants`, why, update);
  if (microcode.revision === null) return warn('the kernel does not tell its revision', why, update);
  return pass(`${detail}; no fault waits for a newer one`);
}

function checkSmt({ smtActive }: HostFacts): Finding {
  if (smtActive === false) return pass('off, or not there');
  return warn(
    smtActive ? 'on' : 'the kernel does not tell',
    'two machines on the two threads of one core can learn of each other through what the threads share',
    'echo off > /sys/devices/system/cpu/smt/control, for good: nosmt on the kernel’s command line',
  );
}

function checkKsm({ ksmRunning }: HostFacts): Finding {
  if (ksmRunning !== true) return pass('off: machines of different organizations share no pages');
  return warn(
    'on',
    'by how long a write takes one machine can tell what is in the memory of another',
    'echo 2 > /sys/kernel/mm/ksm/run, and turn off what started it (ksmtuned)',
  );
}

function checkSwap({ swaps }: HostFacts): Finding {
  const plain = swaps.filter(({ encrypted, inMemory }) => !encrypted && !inMemory).map(({ name }) => name);
  if (swaps.length === 0) return pass('none: the memory of machines reaches no disk but their own files');
  if (plain.length === 0) return pass(`${swaps.map(({ name }) => name).join(', ')}: encrypted or in memory`);
  return warn(
    `${plain.join(', ')} may be unencrypted`,
    'what is in the memory of a machine may stay on the disk after it',
    'swapoff -a, or encrypt it (cryptsetup, swap in /etc/crypttab)',
  );
}

function checkDisk({ diskFreeBytes }: HostFacts): Finding {
  const gib = Math.floor(diskFreeBytes / GIB);
  const detail = `${gib} GiB are free for images, machines and snapshots`;
  const why = 'every sleeping machine keeps its memory on disk; 20 GiB and more are comfortable';
  const fix = 'free some, or set HOSTD_DATA_DIR to a larger disk';
  if (gib < 4) return fail(detail, why, fix);
  return gib < 20 ? warn(detail, why, fix) : pass(detail);
}

function checkMemory({ memoryBytes, cores }: HostFacts): Finding {
  const gib = Math.floor(memoryBytes / GIB);
  const detail = `${gib} GiB, ${cores} cores`;
  const why = 'a machine takes 1 GiB and more, Warren itself about 1 GiB';
  if (gib < 3) return fail(detail, why, 'use a computer with 4 GiB or more');
  return gib < 8 ? warn(detail, why, 'few machines run at once; 8 GiB and more are comfortable') : pass(detail);
}
