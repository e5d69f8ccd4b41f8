import { open, stat } from 'node:fs/promises';
import { type PageRange, pagesToScan, type Scan } from './extents.ts';
import { objectKeys, PAGE_BYTES } from './format.ts';
import { type Chain, DEPTH_MAX, flatten, type LayerFile, pagesOf, readChain, writeLayer } from './layer.ts';
import { StoreFailure } from './object-store.ts';
import { PackWriter } from './pack.ts';
import { appendPage, overlay, packsOf, type Run, ZERO } from './page-map.ts';
import { findRef, type Ref, writeRef } from './refs.ts';
import type { Scope } from './scope.ts';

/** What is read at once. */
const READ_PAGES = 256;
const UPLOADS_MAX = 2;
/**
 * An upload that takes longer begins again (and finds its packs stored): what it refers to without a ref of its own is
 * protected by the collector's grace, which is longer.
 */
export const UPLOAD_MS_MAX = 6 * 3_600_000;
const ZERO_PAGE = Buffer.alloc(PAGE_BYTES);

export type LayerSource = {
  /** The ref's name. */
  name: string;
  files: {
    name: string;
    path: string;
    /** The file of `parent`, when this host has it: what both share on the device is not read. */
    parentPath: string | null;
  }[];
  /** Id of a layer that these files were made from. */
  parent: string | null;
  meta: unknown;
  group: string;
  checkpoint: boolean;
  createdAt: string;
};

export type StoreOptions = {
  onProgress?: (progress: Progress) => void;
  signal?: AbortSignal;
  /** For tests: milliseconds since it was started. */
  startStopwatch?: () => () => number;
  /** For tests: instead of asking the file system. */
  scan?: typeof pagesToScan;
};

export type Progress = { pagesRead: number; pagesToRead: number; bytesStored: number };
export type StoredLayer = {
  layerId: string;
  /** Everything this call wrote: packs with their directories, the layer, the ref left out. */
  bytesStored: number;
  pagesRead: number;
  pagesStored: number;
  /** False when the ref was there already. */
  written: boolean;
};

/**
 * Stores files as a layer over their parent. The files must not change meanwhile. Can be ended at any point: nothing exists
 * until the ref does, and a repeated call finds what was stored.
 *
 * @throws StoreFailure, NotAuthentic
 */
export async function storeLayer(scope: Scope, source: LayerSource, options: StoreOptions = {}): Promise<StoredLayer> {
  const { store, key } = scope;
  const existing = await findRef(store, key, source.name);
  if (existing) return { layerId: existing.layer, bytesStored: 0, pagesRead: 0, pagesStored: 0, written: false };
  const elapsedMs = (options.startStopwatch ?? startStopwatch)();
  await scope.refresh();
  const parent = source.parent === null ? null : await usableParent(scope, source.parent);
  const below = parent ? flatten(parent) : [];
  const packer = new Packer(scope);
  const scan = options.scan ?? pagesToScan;
  const scans = await Promise.all(
    source.files.map(async (file) => {
      // What the parent does not have begins with zeros, whatever else it shares blocks with.
      const isBelow = below.some(({ name }) => name === file.name);
      return { file, scan: await scan(file.path, isBelow ? file.parentPath : null) };
    }),
  );
  const pagesToRead = scans.reduce((sum, { scan }) => sum + countPages(scan.ranges), 0);
  const progress = () => ({ pagesRead: packer.pagesRead, pagesToRead, bytesStored: packer.bytesStored });
  const files: LayerFile[] = [];
  try {
    for (const { file, scan } of scans) {
      const bytes = (await stat(file.path)).size;
      const under = below.find(({ name }) => name === file.name)?.runs ?? [];
      const runs = await changedRuns(packer, file.path, scan, under, bytes, () => {
        options.signal?.throwIfAborted();
        options.onProgress?.(progress());
      });
      files.push({ name: file.name, bytes, runs });
    }
    await packer.flush();
  } catch (error) {
    await packer.settle();
    scope.forgetLost();
    throw error;
  }
  const depth = parent ? parent.at(-1)!.layer.depth + 1 : 0;
  const alone = depth > DEPTH_MAX;
  const layerId = await writeLayer(store, key, scope.table, {
    name: source.name,
    parent: alone ? null : source.parent && parent ? source.parent : null,
    depth: alone ? 0 : depth,
    files: alone ? files.map((file) => onItsOwn(file, below)) : files,
    meta: source.meta,
  });
  const bytesStored = packer.bytesStored + ((await store.size(objectKeys.layer(key.id, layerId))) ?? 0);
  if (elapsedMs() > UPLOAD_MS_MAX) throw new StoreFailure('the upload took too long and begins again', { retryable: true });
  const { group, checkpoint, createdAt } = source;
  const ref: Ref = { layer: layerId, createdAt, group, checkpoint, storedBytes: bytesStored };
  await writeRef(store, key, source.name, ref);
  options.onProgress?.({ ...progress(), bytesStored });
  return { layerId, bytesStored, pagesRead: packer.pagesRead, pagesStored: packer.pagesStored, written: true };
}

/** By both clocks: one stands still while the computer sleeps, the other can be set back. */
function startStopwatch(): () => number {
  const began = { steady: performance.now(), wall: Date.now() };
  return () => Math.max(performance.now() - began.steady, Date.now() - began.wall);
}

/** Null when the collector is about to take something of it: then everything is stored anew where it must be. */
async function usableParent(scope: Scope, layerId: string): Promise<Chain | null> {
  const chain = await readChain(scope.store, scope.key, scope.table, layerId);
  if (!chain.every((link) => scope.canUseLayer(link.layerId))) return null;
  const packs = [...packsOf(flatten(chain).flatMap(({ runs }) => runs))].map((number) => scope.table.get(number).id);
  if (!packs.every((packId) => scope.canUsePack(packId))) return null;
  await scope.learn(packs);
  return chain;
}

function onItsOwn(file: LayerFile, below: readonly LayerFile[]): LayerFile {
  const under = below.find(({ name }) => name === file.name)?.runs ?? [];
  return { ...file, runs: overlay(under, file.runs).filter((run) => run.page < pagesOf(file.bytes)) };
}

function countPages(ranges: readonly PageRange[]): number {
  return ranges.reduce((sum, { page, end }) => sum + end - page, 0);
}

/** The pages that are not as in the parent, stored where they were not yet. */
async function changedRuns(
  packer: Packer,
  file: string,
  scan: Scan,
  under: readonly Run[],
  bytes: number,
  beat: () => void,
): Promise<Run[]> {
  const runs: Run[] = [];
  const before = new PlaceCursor(under);
  const note = (page: number, pack: number, slot: number) => {
    const was = before.at(page);
    if (was.pack !== pack || was.slot !== slot) appendPage(runs, page, pack, slot);
  };
  const holesAreZero = scan.by !== 'extents' && under.length > 0;
  let at = 0;
  const noteHole = (end: number) => {
    if (holesAreZero) for (let page = at; page < end; page += 1) note(page, ZERO, 0);
  };
  for await (const { pieces, content } of readAhead(file, scan.ranges, bytes)) {
    beat();
    let offset = 0;
    for (const { page: first, end } of pieces) {
      noteHole(first);
      for (let page = first; page < end; page += 1, offset += PAGE_BYTES) {
        const place = packer.place(content.subarray(offset, offset + PAGE_BYTES));
        note(page, place.pack, place.slot);
        if (packer.isPackFull) await packer.send();
      }
      at = end;
    }
  }
  noteHole(pagesOf(bytes));
  return runs;
}

type Batch = { pieces: readonly PageRange[]; content: Buffer };

/**
 * Reads the ranges in order, a batch ahead of whoever uses them: guests dirty pages here and there, and each of those alone is a
 * wait. `content` holds the pieces one after the other and is used again for the batch after the next.
 */
async function* readAhead(file: string, ranges: readonly PageRange[], bytes: number): AsyncGenerator<Batch> {
  const buffers = [0, 1].map(() => Buffer.allocUnsafe(READ_PAGES * PAGE_BYTES));
  const handle = await open(file, 'r');
  const read = async (pieces: readonly PageRange[], buffer: Buffer): Promise<Batch> => {
    let pages = 0;
    const reads = pieces.map(({ page, end }) => {
      const content = buffer.subarray(pages * PAGE_BYTES, (pages + end - page) * PAGE_BYTES);
      pages += end - page;
      return readPages(handle, content, page, bytes);
    });
    // None may still write into the buffer, or use the handle, once this has ended.
    const failed = (await Promise.allSettled(reads)).find(({ status }) => status === 'rejected');
    if (failed?.status === 'rejected') throw failed.reason;
    return { pieces, content: buffer };
  };
  let ahead: Promise<Batch> | null = null;
  try {
    for (const [index, pieces] of [...batchesOf(ranges), null].entries()) {
      const ready: Batch | null = await ahead;
      ahead = pieces && read(pieces, buffers[index % 2]!);
      // It is awaited in the next turn; until then a failure is not an unhandled one.
      ahead?.catch(() => undefined);
      if (ready) yield ready;
    }
  } finally {
    await ahead?.catch(() => undefined);
    await handle.close();
  }
}

/** READ_PAGES pages each but the last one, of as many ranges as it takes. */
function* batchesOf(ranges: readonly PageRange[]): Generator<PageRange[]> {
  let pieces: PageRange[] = [];
  let room = READ_PAGES;
  for (let { page, end } of ranges) {
    while (page < end) {
      const until = Math.min(end, page + room);
      pieces.push({ page, end: until });
      room -= until - page;
      page = until;
      if (room > 0) continue;
      yield pieces;
      pieces = [];
      room = READ_PAGES;
    }
  }
  if (pieces.length > 0) yield pieces;
}

type Handle = Awaited<ReturnType<typeof open>>;

/** Fills `buffer`; the last page of a file is filled up with zeros. */
async function readPages(handle: Handle, buffer: Buffer, page: number, fileBytes: number): Promise<void> {
  const offset = page * PAGE_BYTES;
  const wanted = Math.min(buffer.length, fileBytes - offset);
  let filled = 0;
  while (filled < wanted) {
    const { bytesRead } = await handle.read(buffer, filled, wanted - filled, offset + filled);
    if (bytesRead === 0) throw new Error(`a file became shorter while it was stored, at byte ${offset + filled}`);
    filled += bytesRead;
  }
  buffer.fill(0, wanted);
}

/** Where pages lie in the map below; asked for in rising order. */
class PlaceCursor {
  readonly #runs: readonly Run[];
  #next = 0;

  constructor(runs: readonly Run[]) {
    this.#runs = runs;
  }

  at(page: number): { pack: number; slot: number } {
    while (this.#next < this.#runs.length && this.#runs[this.#next]!.page + this.#runs[this.#next]!.count <= page)
      this.#next += 1;
    const run = this.#runs[this.#next];
    if (!run || run.page > page || run.pack === ZERO) return { pack: ZERO, slot: 0 };
    return { pack: run.pack, slot: run.slot + page - run.page };
  }
}

/** Puts pages that are not stored yet into packs, and packs into the store, a few at a time. */
class Packer {
  readonly #scope: Scope;
  readonly #uploads = new Set<Promise<void>>();
  #writer: PackWriter | null = null;
  #reserved: ReturnType<Scope['table']['reserve']> | null = null;
  #failure: { error: unknown } | null = null;
  pagesRead = 0;
  pagesStored = 0;
  bytesStored = 0;

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  get isPackFull(): boolean {
    return this.#writer?.isFull ?? false;
  }

  /** Where the page lies or will lie. Not while a pack is full: `send` comes first. */
  place(page: Buffer): { pack: number; slot: number } {
    this.pagesRead += 1;
    if (page.equals(ZERO_PAGE)) return { pack: ZERO, slot: 0 };
    const hash = this.#scope.hasher.hash(page);
    const known = this.#scope.index.find(hash);
    if (known) return known;
    if (!this.#writer) {
      this.#writer = new PackWriter(this.#scope.key, this.#scope.packPages);
      this.#reserved = this.#scope.table.reserve(this.#writer.packId);
    }
    const place = { pack: this.#reserved!.number, slot: this.#writer.add(page, hash) };
    this.#scope.index.add(hash, place);
    this.pagesStored += 1;
    return place;
  }

  /** Resolves once everything is in the store. */
  async flush(): Promise<void> {
    if (this.#writer && !this.#writer.isEmpty) await this.send();
    await this.settle();
    if (this.#failure) throw this.#failure.error;
  }

  /** Waits for what is under way, however it ends. */
  async settle(): Promise<void> {
    await Promise.all(this.#uploads);
  }

  /** Begins to store the pack that is being filled; waits while too many are under way. */
  async send(): Promise<void> {
    const writer = this.#writer!;
    const reserved = this.#reserved!;
    this.#writer = null;
    const upload = this.#upload(writer, reserved.settle)
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => this.#uploads.delete(upload));
    this.#uploads.add(upload);
    if (this.#uploads.size >= UPLOADS_MAX) await Promise.race(this.#uploads);
    if (this.#failure) throw this.#failure.error;
  }

  async #upload(writer: PackWriter, settle: (chunkBytes: number[]) => void): Promise<void> {
    const { bytes, directory } = await writer.finish();
    settle(directory.chunkBytes);
    await this.#scope.store.put(objectKeys.pack(this.#scope.key.id, writer.packId), bytes);
    this.bytesStored += bytes.length;
    await this.#scope.remember(directory);
  }
}
