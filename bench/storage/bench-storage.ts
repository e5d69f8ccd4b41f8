import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, open, rename } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { cloneFile } from '../../hostd/storage/files.ts';
import { quantile } from '../stats.ts';
import { type Corpus, ensureCorpus } from './corpus.ts';
import { Ours } from './ours.ts';
import { bytesBelow, PEERS, type Peer, removeAll, run, TookTooLong } from './peers.ts';
import { countDifferent, sameFiles } from './truth.ts';

/*
 * The storage rows of the figures. Everything a tool wrote is counted: indexes and manifests too. What was dirtied is known from
 * the generator or from comparing whole files, never from our own tracking. Both sides end durable where they can (casync does
 * not sync). Restores are compared with the originals, byte for byte, or the run fails.
 */
export type StorageOptions = {
  /** Absolute, on a file system that shares blocks: the corpus is kept here, everything else is removed. */
  dir: string;
  /** Sessions forked from the template. */
  sessions: number;
  /** Times that each tool stores the small change; the median counts. */
  rounds: number;
  say: (line: string) => void;
  /** Ends the tool that runs, and the figure with it. */
  interrupted: AbortSignal;
};

export type StorageFigures = { human: string[]; json: Record<string, number>; raw: unknown };

const exec = promisify(execFile);
const PAGE_BYTES = 4096;
/** What a peer may take for one command, and for the fleet as a whole. */
const PEER_LIMIT_MS = 20 * 60_000;
const SCATTERED_PAGES = 6000;
const RUN_PAGES = 4096;
const SESSION_FILES = ['memory', 'disk.raw', 'device.state'] as const;

type Incremental = { tool: string; firstMs: number; ms: number[]; storedBytes: number; restoreMs: number; rssMiB: number };

export async function benchStorage(options: StorageOptions): Promise<StorageFigures> {
  const { dir } = options;
  const corpus = await ensureCorpus({ ...options, dir: path.join(dir, 'corpus') });
  const work = path.join(dir, 'work');
  await removeAll(work);
  const measured: Measured = { random: null, agent: null, fleet: null };
  try {
    measured.random = await measureIncremental(options, work, await makeRandomCase(corpus, work));
    measured.agent = await measureIncremental(options, work, await makeAgentCase(corpus, work));
    // Grows with every session, so that what an interrupted run has come to is there.
    for await (const fleet of measureFleet(options, work, corpus)) measured.fleet = fleet;
  } catch (error) {
    // What was finished before Ctrl-C stands.
    if (!options.interrupted.aborted) throw error;
  } finally {
    await removeAll(work);
  }
  return summarise(measured);
}

type Measured = {
  random: Awaited<ReturnType<typeof measureIncremental>> | null;
  agent: Awaited<ReturnType<typeof measureIncremental>> | null;
  fleet: Fleet | null;
};

/** Two generations of one snapshot's files, and how much truly differs. */
type Case = { name: string; before: string; after: string; files: readonly string[]; dirtyBytes: number };

/** 1 GiB or more of a real guest's memory, then 39.4 MiB of it overwritten with random bytes: pages here and there, and one run. */
async function makeRandomCase(corpus: Corpus, work: string): Promise<Case> {
  const [before, after] = [path.join(work, 'random', 'before'), path.join(work, 'random', 'after')];
  for (const dir of [before, after]) await mkdir(dir, { recursive: true });
  await cloneFile(corpus.template.memory, path.join(before, 'memory'));
  await cloneFile(corpus.template.memory, path.join(after, 'memory'));
  const handle = await open(path.join(after, 'memory'), 'r+');
  const pages = (await handle.stat()).size / PAGE_BYTES;
  const run0 = Math.floor(pages / 3);
  const chosen = new Set<number>();
  // A step that shares no factor with the number of pages visits pages all over the file, the same in every run.
  for (let at = 7; chosen.size < SCATTERED_PAGES; at = (at + 104_729) % pages) {
    if (at < run0 || at >= run0 + RUN_PAGES) chosen.add(at);
  }
  for (const page of chosen) await handle.write(randomBytes(PAGE_BYTES), 0, PAGE_BYTES, page * PAGE_BYTES);
  await handle.write(randomBytes(RUN_PAGES * PAGE_BYTES), 0, RUN_PAGES * PAGE_BYTES, run0 * PAGE_BYTES);
  await handle.sync();
  await handle.close();
  return { name: 'random', before, after, files: ['memory'], dirtyBytes: (SCATTERED_PAGES + RUN_PAGES) * PAGE_BYTES };
}

/** A session forked from its template, that worked and slept. */
async function makeAgentCase(corpus: Corpus, work: string): Promise<Case> {
  const [before, after] = [path.join(work, 'agent', 'before'), path.join(work, 'agent', 'after')];
  await cloneSnapshot(corpus.template.dir, before);
  await cloneSnapshot(corpus.sessions[0]!.dir, after);
  let dirtyBytes = 0;
  for (const file of SESSION_FILES) dirtyBytes += await countDifferent(path.join(before, file), path.join(after, file));
  return { name: 'agent', before, after, files: SESSION_FILES, dirtyBytes };
}

async function cloneSnapshot(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  for (const file of SESSION_FILES) await cloneFile(path.join(from, file), path.join(to, file));
}

/** Rounds in turn, so that a slow minute of the computer meets every tool. */
async function measureIncremental(options: StorageOptions, work: string, given: Case) {
  const tools: { name: string; measure: (round: number) => Promise<Round> }[] = [
    { name: 'ours', measure: (round) => measureOurs(work, given, round, given.before) },
    { name: 'ours, no extents', measure: (round) => measureOurs(work, given, round, null) },
    ...PEERS.map((peer) => ({ name: peer.name, measure: (round: number) => measurePeer(options, work, given, peer, round) })),
  ];
  const rounds = new Map<string, Round[]>(tools.map(({ name }) => [name, []]));
  for (let round = 0; round < options.rounds; round += 1) {
    for (const { name, measure } of round % 2 === 0 ? tools : [...tools].reverse()) rounds.get(name)!.push(await measure(round));
  }
  const results = tools.map(({ name }): Incremental => {
    const of = rounds.get(name)!;
    return {
      tool: name,
      firstMs: median(of.map(({ firstMs }) => firstMs)),
      ms: of.map(({ ms }) => ms),
      storedBytes: median(of.map(({ storedBytes }) => storedBytes)),
      restoreMs: of[0]!.restoreMs!,
      rssMiB: Math.max(...of.map(({ rssMiB }) => rssMiB)),
    };
  });
  for (const result of results) options.say(line(given, result));
  return { name: given.name, dirtyBytes: given.dirtyBytes, results };
}

/** Restored in the first round only. */
type Round = { firstMs: number; ms: number; storedBytes: number; restoreMs: number | null; rssMiB: number };

async function measureOurs(work: string, given: Case, round: number, parentDir: string | null): Promise<Round> {
  const base = path.join(work, `ours-${round}`);
  const ours = new Ours(base);
  const { ms: firstMs } = await ours.store(given.before, given.files, 'before');
  const before = await bytesBelow(ours.objects);
  const { ms } = await ours.store(given.after, given.files, 'after', { name: 'before', dir: parentDir });
  const storedBytes = (await bytesBelow(ours.objects)) - before;
  let restoreMs: number | null = null;
  if (round === 0) {
    const into = path.join(base, 'restored');
    await mkdir(into);
    restoreMs = await ours.restore('after', into, given.files);
    await sameFiles(given.after, into, given.files);
  }
  await removeAll(base);
  // Of the whole process, the harness included.
  return { firstMs, ms, storedBytes, restoreMs, rssMiB: Math.round(process.resourceUsage().maxRSS / 1024) };
}

async function measurePeer(
  { interrupted }: StorageOptions,
  work: string,
  given: Case,
  peer: Peer,
  round: number,
): Promise<Round> {
  const repository = path.join(work, `${peer.name}-${round}`);
  const into = `${repository}.restored`;
  // The tools know a snapshot by its path: both generations are stored from one place.
  const source = path.join(work, 'source');
  const storeAs = async (dir: string, name: string) => {
    await rename(dir, source);
    return run(peer.store(repository, source, name), PEER_LIMIT_MS, interrupted).finally(() => rename(source, dir));
  };
  await run(peer.init(repository), PEER_LIMIT_MS, interrupted);
  const { ms: firstMs } = await storeAs(given.before, 'before');
  const before = await bytesBelow(repository);
  const { ms, rssMiB } = await storeAs(given.after, 'after');
  const storedBytes = (await bytesBelow(repository)) - before;
  let restoreMs: number | null = null;
  if (round === 0) {
    await mkdir(into);
    restoreMs = (await run(peer.restore(repository, 'after', into), PEER_LIMIT_MS, interrupted)).ms;
    await sameFiles(given.after, into, given.files);
  }
  await removeAll(repository, `${repository}.cache`, into);
  return { firstMs, ms, storedBytes, restoreMs, rssMiB };
}

function line({ name, dirtyBytes }: { name: string; dirtyBytes: number }, result: Incremental): string {
  const mib = (bytes: number) => (bytes / 1024 ** 2).toFixed(1);
  return [
    `${name.padEnd(7)}${result.tool.padEnd(18)}`,
    `first ${(result.firstMs / 1000).toFixed(1)} s,`,
    `then ${(median(result.ms) / 1000).toFixed(2)} s`,
    `and ${mib(result.storedBytes)} MiB for ${mib(dirtyBytes)} MiB dirtied (${(result.storedBytes / dirtyBytes).toFixed(3)}),`,
    `restore ${(result.restoreMs / 1000).toFixed(1)} s, ${result.rssMiB} MiB`,
  ].join(' ');
}

/** What a tool had come to after each snapshot it stored, from the template on: time spent and bytes stored so far. */
type Stored = { tool: string; ms: number[]; storedBytes: number[] };
type Fleet = { sessions: number; results: readonly Stored[] };

/**
 * The template and every session forked from it, in the order made, each stored by one tool after the other. A tool that has spent
 * its time is left behind; it is compared by what both had stored until then.
 */
async function* measureFleet(options: StorageOptions, work: string, corpus: Corpus): AsyncGenerator<Fleet> {
  const { say, interrupted } = options;
  const ours = new Ours(path.join(work, 'fleet-ours'));
  const snapshots = [corpus.template, ...corpus.sessions];
  const results: Stored[] = ['ours', ...PEERS.map(({ name }) => name)].map((tool) => ({ tool, ms: [], storedBytes: [] }));
  const repositoryOf = (peer: Peer) => path.join(work, `fleet-${peer.name}`);
  const source = path.join(work, 'fleet-source');
  const spent = ({ ms }: Stored) => ms.at(-1) ?? 0;
  for (const peer of PEERS) await run(peer.init(repositoryOf(peer)), PEER_LIMIT_MS, interrupted);
  for (const [index, { dir }] of snapshots.entries()) {
    interrupted.throwIfAborted();
    const over = index === 0 ? undefined : { name: '0', dir: corpus.template.dir };
    const { ms } = await ours.store(dir, SESSION_FILES, String(index), over);
    results[0]!.ms.push(spent(results[0]!) + ms);
    results[0]!.storedBytes.push(await bytesBelow(ours.objects));
    // The tools know a snapshot by its path: all are stored from one place.
    await removeAll(source);
    await cloneSnapshot(dir, source);
    for (const [at, peer] of PEERS.entries()) {
      const result = results[at + 1]!;
      if (result.ms.length < index) continue;
      const left = PEER_LIMIT_MS - spent(result);
      const ran = await run(peer.store(repositoryOf(peer), source, String(index)), left, interrupted).catch((error: unknown) => {
        if (error instanceof TookTooLong) return null;
        throw error;
      });
      if (ran === null) continue;
      result.ms.push(spent(result) + ran.ms);
      result.storedBytes.push(await bytesBelow(repositoryOf(peer)));
    }
    say(`fleet: ${index} of ${corpus.sessions.length} sessions`);
    if (index > 0) yield { sessions: index, results };
  }
}

function fleetLine({ tool, ms, storedBytes }: Stored, snapshots: number): string {
  const behind = ms.length === snapshots ? '' : `, only ${ms.length} of ${snapshots} in ${PEER_LIMIT_MS / 60_000} minutes`;
  return `fleet  ${tool.padEnd(18)} ${(ms.at(-1)! / 1000).toFixed(1)} s, ${(storedBytes.at(-1)! / 1024 ** 2).toFixed(0)} MiB${behind}`;
}

async function summarise(measured: Measured): Promise<StorageFigures> {
  const { random, agent, fleet } = measured;
  const json = { ...(random && randomFigures(random)), ...(agent && agentFigures(agent)), ...(fleet && fleetFigures(fleet)) };
  const versions = await Promise.all(PEERS.map(async ({ version: [file, ...args] }) => (await exec(file!, args)).stdout.trim()));
  const human = [
    ...[random, agent].flatMap((set) => set?.results.map((result) => line(set, result)) ?? []),
    ...(fleet?.results.map((result) => fleetLine(result, fleet.sessions + 1)) ?? []),
    ...Object.entries(json).map(([name, value]) => `${name} ${value.toFixed(3)}`),
  ];
  return { human, json, raw: { ...measured, versions } };
}

const least = (values: number[]) => Math.min(...values);
const peersOf = <T extends { tool: string }>(results: T[]) => results.filter(({ tool }) => !tool.startsWith('ours'));
const resultOf = (set: { results: Incremental[] }, tool: string) => set.results.find((one) => one.tool === tool)!;

function randomFigures(random: NonNullable<Measured['random']>) {
  const [ours, scanned, restic] = ['ours', 'ours, no extents', 'restic'].map((tool) => resultOf(random, tool)) as [
    Incremental,
    Incremental,
    Incremental,
  ];
  return {
    'storage.bytesPerRandomDirtyByte': ours.storedBytes / random.dirtyBytes,
    'storage.bytesPerRandomDirtyByteBestPeer': least(peersOf(random.results).map((one) => one.storedBytes)) / random.dirtyBytes,
    'storage.incrementalMs': median(ours.ms),
    'storage.incrementalTimesFasterThanRestic': median(restic.ms) / median(ours.ms),
    'storage.incrementalTimesFasterThanResticWithoutExtents': median(restic.ms) / median(scanned.ms),
    'storage.firstIngestTimesFasterThanBest': least(peersOf(random.results).map((one) => one.firstMs)) / ours.firstMs,
  };
}

function agentFigures(agent: NonNullable<Measured['agent']>) {
  const ours = resultOf(agent, 'ours');
  return {
    'storage.bytesPerDirtyByte': ours.storedBytes / agent.dirtyBytes,
    'storage.bytesPerDirtyByteBestPeer': least(peersOf(agent.results).map((one) => one.storedBytes)) / agent.dirtyBytes,
    'storage.restoreTimesFasterThanBest': least(peersOf(agent.results).map((one) => one.restoreMs)) / ours.restoreMs,
  };
}

/** Each peer at the last snapshot that it stored; the one that comes off best counts. */
export function fleetFigures({ sessions, results }: Fleet) {
  const [ours, peers] = [results[0]!, peersOf([...results]).filter(({ ms }) => ms.length > 1)];
  const ratios = (of: 'ms' | 'storedBytes') => peers.map((peer) => peer[of].at(-1)! / ours[of][peer[of].length - 1]!);
  return {
    'storage.fleetSessions': sessions,
    'storage.fleetVsBest': 1 / least(ratios('storedBytes')),
    'storage.fleetIngestTimesFasterThanBest': least(ratios('ms')),
  };
}

/** The lower of the two middle ones where there are two, so it is always one that was measured. */
function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}
