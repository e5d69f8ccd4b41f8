import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { measureForks } from './figures/fork.ts';
import { followThroughApi, followThroughPort, measureFreeze } from './figures/freeze.ts';
import { measureGrowth } from './figures/growth.ts';
import { measureResume } from './figures/resume.ts';
import { measureWithoutCache, WORSENS_BY } from './figures/sabotage.ts';
import { soak } from './figures/soak.ts';
import { measureWork } from './figures/work.ts';
import { type GuestSize, SIZES } from './guest/prepare.ts';
import { brokenLimits, checksOf, isQuiet } from './limits.ts';
import type { FigureName } from './options.ts';
import { LibvirtSide } from './peers/libvirt.ts';
import { LoadvmSide } from './peers/loadvm.ts';
import { type Run, take } from './run.ts';
import type { Side } from './side.ts';
import { benchStorage } from './storage/bench-storage.ts';
import { WarrenSide } from './warren-side.ts';

/* What each figure needs to be measured: guests, peers, order. The measuring itself is in figures/. */

const COLD_PAIRS_MAX = 3;
/** Twenty machines at a time are dear. */
const FORK_PAIRS_MAX = 3;
const FORKS = 20;
const FORKS_TINY = 3;
/** For the host itself and what else runs there. */
const MEMORY_RESERVE_MIB = 1536;
const ANSWER_DEADLINE_MS = 10 * 60_000;

type Note = (line: string) => void;

async function openLoadvm(run: Run, size: GuestSize): Promise<LoadvmSide> {
  await run.workspace.template(size);
  const side = await LoadvmSide.open(run.workspace.plain(size, 'loadvm'), `loadvm-${size.name}`);
  run.open.push(side);
  return side;
}

async function openWarren(run: Run, size: GuestSize, machineId: string): Promise<WarrenSide> {
  const { snapshotId } = await run.workspace.template(size);
  const side = await WarrenSide.open(run.hostd, snapshotId, machineId);
  run.open.push(side);
  return side;
}

async function resume(run: Run, note: Note): Promise<void> {
  const { options, workspace, size } = run;
  const peers: Side[] = [];
  if (options.peers.includes('loadvm')) {
    note('preparing loadvm');
    peers.push(await openLoadvm(run, size));
  }
  if (options.peers.includes('libvirt')) {
    note('preparing libvirt');
    const side = await LibvirtSide.open(workspace.plain(size, 'libvirt'), `libvirt-${size.name}`);
    run.open.push(side);
    peers.push(side);
  }
  const subject = await openWarren(run, size, 'mch_benchsubject0');
  const coldPairs = options.peers.includes('coldBoot') ? Math.min(options.pairs, COLD_PAIRS_MAX) : 0;
  const found = await measureResume({
    ...{ pairs: options.pairs, coldPairs, subject, peers, note },
    plain: workspace.plain(size, 'cold'),
  });
  take(run, 'resume', found);
  const least = (values: number[] | undefined) => (values && values.length > 0 ? Math.min(...values) : null);
  run.report.checks = checksOf({
    limits: run.report.limits,
    residentBytes: run.residentBytes,
    awakeReplyMs: found.awakeReplyMs,
    resumeMs: least(found.samples.warren),
    loadvmMs: least(found.samples.loadvm),
    coldBootMs: least(found.samples.coldBoot),
    suspendMs: least(found.samples.suspend),
    savevmMs: least(found.savevmMs),
  });
  run.report.broken = brokenLimits(run.report.checks);
  const { aa } = found.ratios;
  if (aa && !isQuiet(aa)) {
    run.report.void = `the subject against itself comes out as ${aa.ratio.toFixed(2)}: the machine was too noisy for close calls`;
  }
}

async function growth(run: Run, note: Note): Promise<void> {
  if (run.options.tiny) return skip(run, ['resume.growth512MiBTo4GiB'], 'a tiny guest has no size to grow from');
  note('preparing guests');
  const small = await openWarren(run, SIZES.small, 'mch_benchsmall001');
  const large = await openWarren(run, SIZES.large, 'mch_benchlarge001');
  take(run, 'growth', await measureGrowth({ pairs: run.options.pairs, small, large, note }));
}

async function fork(run: Run, note: Note): Promise<void> {
  const { options, workspace, hostd } = run;
  const count = options.tiny ? FORKS_TINY : FORKS;
  const { memoryMiB } = await hostd.client.host();
  // hostd admits no more memory than there is, and the peer really uses it.
  const fits = count * run.size.memoryMiB + MEMORY_RESERVE_MIB <= memoryMiB;
  const size = options.tiny || fits ? run.size : SIZES.small;
  note('preparing loadvm');
  const side = await openLoadvm(run, size);
  const template = await workspace.template(size);
  const pairs = Math.min(options.pairs, FORK_PAIRS_MAX);
  const measureIdle = options.figures.includes('idle');
  const peer = { image: side.image, guest: workspace.plain(size, 'fork') };
  const found = await measureForks({ count, pairs, hostd, template, peer, measureIdle, note });
  take(run, 'fork', found);
  if (size !== run.size) {
    run.report.notes.push(
      `forks are of a guest of ${size.memoryMiB} MiB, because ${count} of ${run.size.memoryMiB} MiB do not fit into ${memoryMiB} MiB`,
    );
  }
}

/** hostd's own cost for twenty idle machines is measured with the forks. */
async function idle(run: Run, note: Note): Promise<void> {
  note('guest work');
  const size = run.options.tiny ? SIZES.tiny : SIZES.small;
  const plain = await openLoadvm(run, size);
  const subject = await openWarren(run, size, 'mch_benchwork0001');
  await plain.wake();
  await subject.wake();
  const found = await measureWork({
    pairs: run.options.pairs,
    warren: subject.guest,
    plain: plain.vm.guest(ANSWER_DEADLINE_MS),
  });
  take(run, 'idle', found);
  await subject.sleep();
  await plain.sleep();
}

async function freeze(run: Run, note: Note): Promise<void> {
  const { hostd, size, options, workspace } = run;
  note('preparing guests');
  const peer = await openLoadvm(run, size);
  const subject = await openWarren(run, size, 'mch_benchfreeze01');
  await peer.wake();
  await subject.wake();
  const found = await measureFreeze({
    pairs: options.pairs,
    subject: {
      name: 'checkpoint',
      guest: subject.guest,
      follow: followThroughApi(hostd, subject.machineId),
      act: () => subject.checkpoint(),
    },
    peer: {
      name: 'savevm',
      guest: peer.vm.guest(ANSWER_DEADLINE_MS),
      follow: followThroughPort(path.join(workspace.plain(size, 'loadvm').socketDir, 'ssh')),
      act: () => peer.save(),
    },
    note,
  });
  take(run, 'freeze', found);
  await subject.sleep();
  await peer.sleep();
}

const STORAGE_KEYS = ['storage.bytesPerDirtyByte', 'storage.incrementalTimesFasterThanRestic', 'storage.fleetVsBest'] as const;

/** Its sessions take an hour to make, so they are made only when this figure is asked for by name, and kept. */
async function storage(run: Run, note: Note): Promise<void> {
  const { options, workspace, interrupted } = run;
  const dir = path.join(workspace.dir, 'storage');
  const isAsked = options.figures.length === 1;
  const exists = await stat(path.join(dir, 'corpus')).then(
    () => true,
    () => false,
  );
  if (!isAsked && !exists) {
    const why = 'its sessions take an hour to make: run `npm run bench -- machines --only storage` once';
    return skip(run, [...STORAGE_KEYS], why);
  }
  const { json, human, raw } = await benchStorage({
    dir,
    sessions: options.sessions,
    rounds: options.pairs,
    say: note,
    interrupted,
  });
  const figures = Object.fromEntries(STORAGE_KEYS.map((key) => [key, json[key] ?? null]));
  const missing = STORAGE_KEYS.filter((key) => figures[key] === null);
  skip(run, missing, 'the run was ended before it');
  take(run, 'storage', { figures, notes: human, samples: raw });
}

async function soaking(run: Run, note: Note): Promise<void> {
  const size = run.options.tiny ? SIZES.tiny : SIZES.small;
  const subject = await openWarren(run, size, 'mch_benchsoak0001');
  const { options, workspace, interrupted } = run;
  const found = await soak({ cycles: options.cycles, subject, other: await workspace.otherHostd(), note, interrupted });
  const beside = `soak: with ${found.forks} forks, ${found.moves} moves between two hosts, and a half-done turn ended ${found.turns} times`;
  take(run, 'soak', { ...found, notes: [beside, ...found.failures] });
}

/** `--sabotage`: what is taken away must be missed. */
export async function sabotage(run: Run, note: Note): Promise<void> {
  const { layout, host } = run.workspace;
  const subject = await openWarren(run, run.size, 'mch_benchsabotag1');
  const filesOf = (snapshotId: string) => {
    const { memory, disk, deviceState } = layout.snapshot(snapshotId);
    return [memory, disk, deviceState, ...(existsSync(host.layout.volumeFile) ? [host.layout.volumeFile] : [])];
  };
  const { worsens, ratios, samples } = await measureWithoutCache({ pairs: run.options.pairs, subject, filesOf, note });
  take(run, 'sabotage', { figures: {}, ratios, samples });
  if (!worsens)
    throw new Error(`a resume with an empty page cache is not ${WORSENS_BY} times as slow: it does not measure what it says`);
}

function skip(run: Run, keys: string[], reason: string): void {
  for (const key of keys) run.report.unavailable[key] = reason;
}

export const FIGURE_STAGES = { resume, growth, freeze, fork, idle, storage, soak: soaking } as const satisfies Record<
  FigureName,
  (run: Run, note: Note) => Promise<void>
>;
