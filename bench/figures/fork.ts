import { copyFile, constants as fs, rm } from 'node:fs/promises';
import path from 'node:path';
import type { Figures } from '../goals.ts';
import { newLease } from '../guest/prepare.ts';
import { Mismatch, proveAwake, type RunInGuest, VERIFIER } from '../guest/verifier.ts';
import { type Hostd, NO_EGRESS } from '../hostd.ts';
import { LOADVM_TAG, type LoadvmImage, type PlainGuest } from '../peers/loadvm.ts';
import { PlainQemu } from '../peers/plain-qemu.ts';
import { cpuMsOf, privateBytesOf, rssBytesOf } from '../processes.ts';
import { median, orderOfRound, type Ratio, ratioOfPairs } from '../stats.ts';

const IDLE_MS = 60_000;
/** A fork that has answered goes on for a moment with what woke in it. */
const SETTLE_MS = 5_000;
const PARALLEL = [1, 2, 4] as const;
const ANSWER_DEADLINE_MS = 10 * 60_000;

export type ForkResult = {
  figures: Figures;
  ratios: Record<string, Ratio>;
  samples: Record<string, number[]>;
  notes: string[];
};

type Options = {
  count: number;
  pairs: number;
  hostd: Hostd;
  template: { snapshotId: string; secret: string };
  peer: { image: LoadvmImage; guest: PlainGuest };
  measureIdle: boolean;
  note: (line: string) => void;
};

type Burst = { totalMs: number; privateBytes: number[]; randoms: string[]; idle: Idle | null };
type Idle = { cpuPercent: number; rssMiB: number };

/** Every fork must give the template's proof and a random value that no other gives. */
async function answer(guest: RunInGuest, secret: string): Promise<string> {
  await proveAwake(guest, secret);
  return (await guest([VERIFIER, 'random'])).trim();
}

function requireDistinct(randoms: readonly string[]): void {
  if (new Set(randoms).size !== randoms.length) throw new Mismatch('two forks gave the same random value');
}

/** All at once, through the API; all are awake when the last has answered. */
async function burstOfWarren({ count, hostd, template, measureIdle }: Options): Promise<Burst> {
  const ids = Array.from({ length: count }, (_, at) => `mch_benchfork${String(at).padStart(4, '0')}`);
  const lease = newLease();
  try {
    const startedAt = performance.now();
    const randoms = await Promise.all(
      ids.map(async (machineId) => {
        const source = { kind: 'fork', snapshotId: template.snapshotId } as const;
        await hostd.client.create(machineId, { lease, source, egress: NO_EGRESS });
        return answer(hostd.guest(machineId), template.secret);
      }),
    );
    const totalMs = performance.now() - startedAt;
    const pids = (await hostd.client.machines())
      .filter(({ machineId }) => ids.includes(machineId))
      .map((one) => one.process!.pid);
    if (pids.length !== count) throw new Error(`${pids.length} of ${count} forks are there`);
    await settle(SETTLE_MS);
    const privateBytes = await Promise.all(pids.map(privateBytesOf));
    const idle = measureIdle ? await idleCost(hostd.pid) : null;
    return { totalMs, privateBytes, randoms, idle };
  } finally {
    await Promise.all(ids.map((machineId) => hostd.client.remove(machineId, lease).catch(() => undefined)));
  }
}

async function idleCost(pid: number): Promise<Idle> {
  const before = await cpuMsOf(pid);
  const startedAt = performance.now();
  await settle(IDLE_MS);
  const cpuPercent = (((await cpuMsOf(pid)) - before) / (performance.now() - startedAt)) * 100;
  return { cpuPercent, rssMiB: (await rssBytesOf(pid)) / 1024 / 1024 };
}

/** `parallel` at a time; a copy of the image for each, by reflink where there is one, as the peer would have to. */
async function burstOfLoadvm({ count, peer }: Options, parallel: number): Promise<Burst> {
  const { image, guest } = peer;
  const vms: PlainQemu[] = [];
  const disks: string[] = [];
  const randoms: string[] = [];
  let next = 0;
  const work = async () => {
    for (let at = next++; at < count; at = next++) {
      const disk = path.join(guest.filesDir, `fork-${at}.qcow2`);
      await copyFile(image.disk, disk, fs.COPYFILE_FICLONE);
      disks.push(disk);
      const vm = await PlainQemu.start({
        dir: `${guest.socketDir}-${at}`,
        memoryMiB: guest.size.memoryMiB,
        disk,
        platform: guest.platform,
        begin: { kind: 'loadvm', tag: LOADVM_TAG },
      });
      vms.push(vm);
      randoms.push(await answer(vm.guest(ANSWER_DEADLINE_MS), image.secret));
    }
  };
  try {
    const startedAt = performance.now();
    await Promise.all(Array.from({ length: parallel }, work));
    const totalMs = performance.now() - startedAt;
    await settle(SETTLE_MS);
    return { totalMs, privateBytes: await Promise.all(vms.map((vm) => privateBytesOf(vm.pid))), randoms, idle: null };
  } finally {
    await Promise.all(vms.map((vm) => vm.kill()));
    for (const disk of disks) await rm(disk, { force: true });
    for (let at = 0; at < count; at += 1) await rm(`${guest.socketDir}-${at}`, { recursive: true, force: true });
  }
}

const settle = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Twenty machines of one template against twenty `loadvm` of one image, whose best parallelism is found first. */
export async function measureForks(options: Options): Promise<ForkResult> {
  const { count, pairs, note } = options;
  const tried: { parallel: number; totalMs: number }[] = [];
  for (const parallel of PARALLEL) {
    note(`${count} loadvm, ${parallel} at a time`);
    tried.push({ parallel, totalMs: (await burstOfLoadvm(options, parallel)).totalMs });
  }
  const best = tried.reduce((one, other) => (other.totalMs < one.totalMs ? other : one));
  const own: Burst[] = [];
  const theirs: Burst[] = [];
  for (let round = 0; round < pairs; round += 1) {
    for (const side of orderOfRound(['warren', 'loadvm'], round)) {
      note(`${count} of ${side}, round ${round + 1} of ${pairs}`);
      if (side === 'loadvm') theirs.push(await burstOfLoadvm(options, best.parallel));
      // The minute of idling is measured once.
      else own.push(await burstOfWarren({ ...options, measureIdle: options.measureIdle && round === 0 }));
    }
  }
  requireDistinct(own.flatMap(({ randoms }) => randoms));
  const perChild = (bursts: Burst[]) => bursts.map(({ privateBytes }) => median(privateBytes));
  const totals = (bursts: Burst[]) => bursts.map(({ totalMs }) => totalMs);
  const ratios = {
    [`fork${count}`]: ratioOfPairs(totals(own), totals(theirs)),
    'memory per fork': ratioOfPairs(perChild(own), perChild(theirs)),
  };
  const idle = own[0]?.idle ?? null;
  const mebibytes = (bursts: Burst[]) => (median(perChild(bursts)) / 1024 / 1024).toFixed(0);
  return {
    figures: {
      ...(count === 20 ? { 'fork20.timesFasterThanLoadvm': ratios[`fork${count}`]!.low } : {}),
      'memory.timesLessThanLoadvm': ratios['memory per fork']!.low,
      ...(idle ? { 'idle.hostdCpuPercent': idle.cpuPercent, 'idle.hostdRssMiB': idle.rssMiB } : {}),
    },
    ratios,
    samples: {
      warren: totals(own),
      loadvm: totals(theirs),
      warrenPrivateBytes: own.flatMap(({ privateBytes }) => privateBytes),
      loadvmPrivateBytes: theirs.flatMap(({ privateBytes }) => privateBytes),
      ...Object.fromEntries(tried.map(({ parallel, totalMs }) => [`loadvmParallel${parallel}`, [totalMs]])),
    },
    notes: [
      `${count} forks of a ${options.peer.guest.size.memoryMiB} MiB guest all answer after ${seconds(median(totals(own)))}, ${count} loadvm (${best.parallel} at a time, the best of ${PARALLEL.join(', ')}) after ${seconds(median(totals(theirs)))}; private memory of each ${mebibytes(own)} MiB and ${mebibytes(theirs)} MiB`,
    ],
  };
}

const seconds = (ms: number) => `${(ms / 1000).toFixed(2)} s`;
