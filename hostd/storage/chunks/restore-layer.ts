import { appendFile, open, readFile, rm, writeFile } from 'node:fs/promises';
import { cloneFile, isErrno } from '../files.ts';
import { objectKeys, PAGE_BYTES, PAGES_PER_CHUNK } from './format.ts';
import { NotAuthentic, PackCipher } from './keys.ts';
import { type Chain, flatten } from './layer.ts';
import { openChunk } from './pack.ts';
import { type Run, slice, ZERO } from './page-map.ts';
import type { Scope } from './scope.ts';

const PACKS_AT_ONCE = 2;
/** Chunks that are not needed are fetched all the same when they lie between needed ones and are no more than this. */
const GAP_CHUNKS_MAX = 4;
/** How much is written between two notes of how far it is. */
const PACKS_PER_NOTE = 4;
const ZEROS = Buffer.alloc(256 * PAGE_BYTES);

/** A scope, or what of it a restore needs. */
type Source = Pick<Scope, 'store' | 'key' | 'table'>;

export type RestoreTarget = { name: string; path: string };
export type RestoreOptions = {
  /** Files of a layer of the chain that this host has; they are cloned, and only what changed since is fetched. */
  base?: { layerId: string; paths: Readonly<Record<string, string>> };
  /** Where to note how far it is, so that a repeated call goes on there. */
  notes?: string;
  onProgress?: (progress: RestoreProgress) => void;
  signal?: AbortSignal;
};
export type RestoreProgress = { packsDone: number; packs: number; bytesFetched: number };

type Piece = { file: number; run: Run };
type Plan = { pack: number; pieces: Piece[] };

/**
 * Writes a layer's files, sparse, and syncs them. Every byte is checked before it is written. Can be ended at any point and
 * repeated with the same notes.
 *
 * @throws NotAuthentic, ObjectMissing, StoreFailure; what was written is then good but not complete
 */
export async function restoreLayer(
  scope: Source,
  chain: Chain,
  targets: readonly RestoreTarget[],
  options: RestoreOptions = {},
): Promise<RestoreProgress> {
  const baseIndex = chain.findIndex(({ layerId }) => layerId === options.base?.layerId);
  const base = baseIndex === -1 ? null : options.base!;
  const files = flatten(chain, baseIndex + 1).filter(({ name }) => targets.some((target) => target.name === name));
  const identity = `${chain.at(-1)!.layerId} over ${base ? base.layerId : 'nothing'}`;
  const basePaths = files.map(({ name }) => (base && isThroughout(chain.slice(baseIndex), name) ? base.paths[name] : undefined));
  const done = await readNotes(options.notes, identity);
  const paths = files.map(({ name }) => targets.find((target) => target.name === name)!.path);
  if (done === null) {
    for (const path of paths) await rm(path, { force: true });
    for (const [index, path] of paths.entries()) {
      const from = basePaths[index];
      if (from !== undefined) await cloneFile(from, path);
    }
  }
  const handles = await openAll(paths);
  try {
    for (const [index, handle] of handles.entries()) await handle.truncate(files[index]!.bytes);
    if (done === null) {
      for (const [index, { runs, bytes }] of files.entries())
        if (basePaths[index] !== undefined) await writeZeros(handles[index]!, runs, bytes);
      for (const handle of handles) await handle.sync();
      if (options.notes) await writeFile(options.notes, `${identity}\n`, { mode: 0o600 });
    }
    const plans = planOf(files.map(({ runs }) => runs));
    const progress = await fetchPacks(
      scope,
      plans,
      handles,
      files.map(({ bytes }) => bytes),
      done ?? new Set(),
      options,
    );
    for (const handle of handles) await handle.sync();
    return progress;
  } finally {
    for (const handle of handles) await handle.close();
  }
}

/** A file that some layer in between does not have began anew above it. */
function isThroughout(chain: Chain, name: string): boolean {
  return chain.every(({ layer }) => layer.files.some((file) => file.name === name));
}

type Handle = Awaited<ReturnType<typeof open>>;

async function openAll(paths: readonly string[]): Promise<Handle[]> {
  const handles: Handle[] = [];
  try {
    for (const path of paths)
      handles.push(
        await open(path, 'r+').catch((error) => (isErrno(error, 'ENOENT') ? open(path, 'wx+', 0o600) : Promise.reject(error))),
      );
    return handles;
  } catch (error) {
    for (const handle of handles) await handle.close();
    throw error;
  }
}

/** Ids of the packs that are written already; null when nothing is, or something else was begun. */
async function readNotes(notes: string | undefined, identity: string): Promise<Set<string> | null> {
  const text = notes === undefined ? '' : await readFile(notes, 'utf8').catch(() => '');
  const [first, ...packIds] = text.split('\n').filter((line, index, all) => line !== '' && index < all.length - 1);
  return first === identity ? new Set(packIds) : null;
}

/** What is needed of each pack, so that each is fetched once. */
function planOf(files: readonly (readonly Run[])[]): Plan[] {
  const plans = new Map<number, Piece[]>();
  for (const [file, runs] of files.entries()) {
    for (const run of runs) {
      if (run.pack === ZERO) continue;
      const pieces = plans.get(run.pack) ?? [];
      plans.set(run.pack, pieces);
      // Cut where chunks end, so that a piece needs one chunk.
      for (let at = 0; at < run.count; ) {
        const left = PAGES_PER_CHUNK - ((run.slot + at) % PAGES_PER_CHUNK);
        const count = Math.min(left, run.count - at);
        pieces.push({ file, run: slice(run, run.page + at, run.page + at + count) });
        at += count;
      }
    }
  }
  return [...plans].map(([pack, pieces]) => ({ pack, pieces: pieces.sort((one, other) => one.run.slot - other.run.slot) }));
}

async function fetchPacks(
  scope: Source,
  plans: readonly Plan[],
  handles: readonly Handle[],
  fileBytes: readonly number[],
  done: ReadonlySet<string>,
  options: RestoreOptions,
): Promise<RestoreProgress> {
  const progress = { packsDone: 0, packs: plans.length, bytesFetched: 0 };
  const waiting = plans.values();
  let unnoted: string[] = [];
  const note = async (least: number) => {
    if (!options.notes || unnoted.length < least) return;
    const packIds = unnoted;
    unnoted = [];
    for (const handle of handles) await handle.datasync();
    await appendFile(options.notes, packIds.map((packId) => `${packId}\n`).join(''));
  };
  const work = async () => {
    for (const plan of waiting) {
      options.signal?.throwIfAborted();
      const { id } = scope.table.get(plan.pack);
      if (!done.has(id)) {
        progress.bytesFetched += await fetchPack(scope, plan, handles, fileBytes);
        unnoted.push(id);
      }
      progress.packsDone += 1;
      options.onProgress?.({ ...progress });
      await note(PACKS_PER_NOTE);
    }
  };
  const results = await Promise.allSettled(Array.from({ length: PACKS_AT_ONCE }, work));
  await note(1);
  for (const result of results) if (result.status === 'rejected') throw result.reason;
  return progress;
}

/** @returns bytes fetched */
async function fetchPack(scope: Source, plan: Plan, handles: readonly Handle[], fileBytes: readonly number[]): Promise<number> {
  const { id, chunkBytes } = scope.table.get(plan.pack);
  const cipher = new PackCipher(scope.key, id);
  const offsets = [0];
  for (const bytes of chunkBytes) offsets.push(offsets.at(-1)! + bytes);
  let fetched = 0;
  for (const group of groupsOf(plan.pieces)) {
    const first = chunkOf(group[0]!);
    const last = chunkOf(group.at(-1)!);
    const offset = offsets[first];
    const end = offsets[last + 1];
    if (offset === undefined || end === undefined) throw new NotAuthentic(`pack ${id}`);
    const bytes = await scope.store.get(objectKeys.pack(scope.key.id, id), { offset, length: end - offset });
    fetched += bytes.length;
    let opened = null as { chunk: number; pages: Buffer } | null;
    for (const piece of group) {
      const chunk = chunkOf(piece);
      if (opened?.chunk !== chunk) {
        const sealed = bytes.subarray(offsets[chunk]! - offset, offsets[chunk + 1]! - offset);
        opened = { chunk, pages: await openChunk(cipher, chunk, sealed) };
      }
      await writePiece(handles[piece.file]!, piece.run, opened.pages, fileBytes[piece.file]!);
    }
  }
  return fetched;
}

function chunkOf({ run }: Piece): number {
  return Math.floor(run.slot / PAGES_PER_CHUNK);
}

/** Pieces whose chunks lie next to each other, or nearly: one request. */
function groupsOf(pieces: readonly Piece[]): Piece[][] {
  const groups: Piece[][] = [];
  for (const piece of pieces) {
    const group = groups.at(-1);
    if (group && chunkOf(piece) - chunkOf(group.at(-1)!) <= GAP_CHUNKS_MAX + 1) group.push(piece);
    else groups.push([piece]);
  }
  return groups;
}

async function writePiece(handle: Handle, run: Run, pages: Buffer, fileBytes: number): Promise<void> {
  const from = (run.slot % PAGES_PER_CHUNK) * PAGE_BYTES;
  const content = pages.subarray(from, from + run.count * PAGE_BYTES);
  if (content.length !== run.count * PAGE_BYTES) throw new NotAuthentic('a page map, which points behind the end of a chunk and');
  await writeAll(handle, content, run.page * PAGE_BYTES, fileBytes);
}

/** Pages that became zero since the base. */
async function writeZeros(handle: Handle, runs: readonly Run[], fileBytes: number): Promise<void> {
  for (const run of runs) {
    if (run.pack !== ZERO) continue;
    for (let left = run.count, page = run.page; left > 0; ) {
      const count = Math.min(left, ZEROS.length / PAGE_BYTES);
      await writeAll(handle, ZEROS.subarray(0, count * PAGE_BYTES), page * PAGE_BYTES, fileBytes);
      page += count;
      left -= count;
    }
  }
}

async function writeAll(handle: Handle, content: Buffer, offset: number, fileBytes: number): Promise<void> {
  const wanted = Math.min(content.length, fileBytes - offset);
  for (let written = 0; written < wanted; )
    written += (await handle.write(content, written, wanted - written, offset + written)).bytesWritten;
}
