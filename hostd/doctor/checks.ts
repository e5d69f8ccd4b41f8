import { execFile } from 'node:child_process';
import { access, readFile, statfs } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { currentImageId } from '../guest/image/recipe.ts';
import { decideAccelerator } from '../hypervisor/accelerator.ts';
import { QEMU, qemuFacts } from '../hypervisor/qemu/platform.ts';
import { findImage } from '../storage/images.ts';
import type { Layout } from '../storage/layout.ts';
import { prepareDataDir } from '../storage/volume.ts';

const run = promisify(execFile);
const GIB = 1024 ** 3;

export type Finding = { status: 'pass' | 'warn' | 'fail'; detail: string; fix?: string };
export type Check = { name: string; run: (layout: Layout) => Promise<Finding> };

const pass = (detail: string): Finding => ({ status: 'pass', detail });
const warn = (detail: string, fix: string): Finding => ({ status: 'warn', detail, fix });
const fail = (detail: string, fix: string): Finding => ({ status: 'fail', detail, fix });

/** What this computer can and cannot do for machines, in the order of dependence. */
export const CHECKS: readonly Check[] = [
  { name: 'QEMU', run: checkQemu },
  { name: 'QEMU sandbox', run: checkSandbox },
  { name: 'image tools', run: checkTools },
  { name: 'data directory', run: checkDataDir },
  { name: 'guest image', run: checkImage },
  { name: 'accelerator', run: checkAccelerator },
  { name: 'disk', run: checkDisk },
  { name: 'memory', run: checkMemory },
  { name: 'swap', run: checkSwap },
  { name: 'cgroup v2', run: checkCgroup },
];

async function checkQemu(): Promise<Finding> {
  const { version, machineType } = await qemuFacts();
  if (Number.parseFloat(version) < 7.2)
    return fail(`QEMU ${version} is older than 7.2`, 'use Debian 12 or newer: apt-get install qemu-system-x86');
  return pass(`QEMU ${version}, ${machineType}`);
}

async function checkSandbox(): Promise<Finding> {
  await qemuFacts();
  const sandbox = 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny';
  // QEMU sets its filter up before it prints this, and says so when the kernel or its build cannot.
  await run(QEMU, ['-sandbox', sandbox, '-machine', 'none', '-device', 'help']);
  const seccomp = /^Seccomp:\s*(\d)/m.exec(await readFile('/proc/self/status', 'utf8'));
  return seccomp
    ? pass('QEMU runs under its system call filter')
    : fail('this kernel has no seccomp', 'use a kernel with CONFIG_SECCOMP_FILTER');
}

async function checkTools(): Promise<Finding> {
  const tools = {
    mmdebstrap: 'mmdebstrap',
    mke2fs: 'e2fsprogs',
    resize2fs: 'e2fsprogs',
    prlimit: 'util-linux',
    'mkfs.xfs': 'xfsprogs',
  };
  const missing: string[] = [];
  for (const [tool, packageName] of Object.entries(tools)) {
    const found = await Promise.any(['/usr/bin', '/usr/sbin', '/sbin', '/bin'].map((dir) => access(path.join(dir, tool)))).then(
      () => true,
      () => false,
    );
    if (!found) missing.push(packageName);
  }
  if (missing.length === 0) return pass('mmdebstrap, e2fsprogs, xfsprogs and util-linux are installed');
  return fail(`missing: ${missing.join(', ')}`, `apt-get install ${[...new Set(missing)].join(' ')}`);
}

async function checkDataDir(layout: Layout): Promise<Finding> {
  const { reflink, detail } = await prepareDataDir(layout);
  if (reflink) return pass(`${layout.dataDir}: ${detail}`);
  return warn(`${layout.dataDir}: ${detail}`, 'forks and resumes copy files: put HOSTD_DATA_DIR on XFS or btrfs, or run as root');
}

async function checkImage(layout: Layout): Promise<Finding> {
  const imageId = await currentImageId();
  if (await findImage(layout, imageId)) return pass(imageId);
  return warn(`${imageId} is not built`, 'node hostd/guest/image/build.ts (about a minute)');
}

async function checkAccelerator(layout: Layout): Promise<Finding> {
  const imageId = await currentImageId();
  if (!(await findImage(layout, imageId)))
    return warn('not probed: the probe boots the guest image', 'node hostd/guest/image/build.ts');
  const { version } = await qemuFacts();
  const options = { cacheFile: layout.accelerator, qemuVersion: version, imageId, image: layout.image(imageId) };
  const { accelerator, reason } = await decideAccelerator(options);
  if (accelerator === 'kvm') return pass(`KVM: ${reason}`);
  return warn(
    `software emulation (TCG), about ten times slower: ${reason}`,
    'run on hardware, or in a VM whose host offers nested KVM',
  );
}

async function checkDisk(layout: Layout): Promise<Finding> {
  const dirs = [layout.dataDir, path.dirname(layout.volumeFile)];
  const free = await Promise.all(dirs.map(async (dir) => statfs(dir).then((found) => (found.bavail * found.bsize) / GIB)));
  const least = Math.floor(Math.min(...free));
  const text = `${least} GiB are free for images, machines and snapshots`;
  if (least < 4) return fail(text, 'free at least 4 GiB, or set HOSTD_DATA_DIR to a larger disk');
  return least < 20 ? warn(text, 'every sleeping machine keeps its memory on disk; 20 GiB and more are comfortable') : pass(text);
}

async function checkMemory(): Promise<Finding> {
  const total = Math.floor(os.totalmem() / GIB);
  const text = `${total} GiB, ${os.availableParallelism()} cores`;
  if (total < 3) return fail(text, 'a machine takes 1 GiB, Warren itself about 1 GiB');
  return total < 8 ? warn(text, 'few machines run at once; 8 GiB and more are comfortable') : pass(text);
}

async function checkSwap(): Promise<Finding> {
  const swapKiB = Number(/^SwapTotal:\s+(\d+)/m.exec(await readFile('/proc/meminfo', 'utf8'))?.[1] ?? 0);
  if (swapKiB === 0) return pass('none: memory of machines stays in its files');
  return warn(`${Math.round(swapKiB / 1024)} MiB`, 'guest memory read by hostd may reach the swap: encrypt it or turn it off');
}

async function checkCgroup(): Promise<Finding> {
  const controllers = await readFile('/sys/fs/cgroup/cgroup.controllers', 'utf8').catch(() => null);
  if (controllers?.includes('memory')) return pass(`controllers: ${controllers.trim()}`);
  return warn(
    'no unified cgroup hierarchy with a memory controller',
    'machines run without limits of their own beyond their memory size: boot with systemd.unified_cgroup_hierarchy=1',
  );
}
