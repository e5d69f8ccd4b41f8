import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { zstdCompress, zstdDecompress } from 'node:zlib';
import { z } from 'zod';
import { FORMAT_VERSION, objectKeys, PAGE_BYTES, PAGES_PER_CHUNK, PAGES_PER_PACK } from './format.ts';
import { NotAuthentic, type StoreKey, seal, unseal } from './keys.ts';
import { ObjectMissing, type ObjectStore } from './object-store.ts';
import { clip, decodeRuns, encodeRuns, overlay, packsOf, type Run, ZERO } from './page-map.ts';

/*
 * A layer says where each page of a few files lies that is not as in its parent. It is found by the SHA-256 of its encrypted
 * bytes, so that a child names exactly the parent it was made over; a ref (refs.ts) gives it a name.
 */
const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);
const LAYER_BYTES_MAX = 512 * 1024 * 1024;
/** A longer chain is cut by a layer that says everything itself: reading one means reading those below it. */
export const DEPTH_MAX = 16;

const headerSchema = z.object({
  version: z.literal(FORMAT_VERSION),
  name: z.string(),
  parent: z.string().nullable(),
  depth: z.number().int().min(0).max(DEPTH_MAX),
  files: z.array(
    z.object({
      name: z.string().regex(/^[a-z0-9][a-z0-9.-]*$/i),
      bytes: z.number().int().min(0),
      mapBytes: z.number().int().min(0),
    }),
  ),
  packs: z.array(
    z.object({
      id: z.string().regex(/^[0-9a-f]{32}$/),
      chunkBytes: z
        .array(z.number().int().min(1))
        .min(1)
        .max(PAGES_PER_PACK / PAGES_PER_CHUNK),
    }),
  ),
  meta: z.unknown(),
});

/** Packs under small numbers that are good for one process. */
export class PackTable {
  readonly #numbers = new Map<string, number>();
  readonly #packs: { id: string; chunkBytes: number[] }[] = [];

  numberOf(id: string, chunkBytes: number[]): number {
    const known = this.#numbers.get(id);
    if (known !== undefined) return known;
    this.#numbers.set(id, this.#packs.length);
    return this.#packs.push({ id, chunkBytes }) - 1;
  }

  /** For a pack that is being filled: its chunks' sizes are told when it is written. */
  reserve(id: string): { number: number; settle: (chunkBytes: number[]) => void } {
    const pack = { id, chunkBytes: [] as number[] };
    this.#numbers.set(id, this.#packs.length);
    return {
      number: this.#packs.push(pack) - 1,
      settle: (chunkBytes) => {
        pack.chunkBytes = chunkBytes;
      },
    };
  }

  get(number: number): { id: string; chunkBytes: number[] } {
    return this.#packs[number]!;
  }
}

export type LayerFile = { name: string; bytes: number; runs: Run[] };
/** Pack numbers in its runs are those of the table it was read into. */
export type Layer = { name: string; parent: string | null; depth: number; files: LayerFile[]; meta: unknown };

export function pagesOf(bytes: number): number {
  return Math.ceil(bytes / PAGE_BYTES);
}

/** @returns its id. Durable when this resolves; found by nobody until a ref or a child names it */
export async function writeLayer(store: ObjectStore, key: StoreKey, table: PackTable, layer: Layer): Promise<string> {
  const used = [...packsOf(layer.files.flatMap(({ runs }) => runs))];
  const local = new Map(used.map((number, index) => [number, index]));
  const maps = layer.files.map(({ runs }) =>
    encodeRuns(runs.map((run) => (run.pack === ZERO ? run : { ...run, pack: local.get(run.pack)! }))),
  );
  const header = JSON.stringify({
    version: FORMAT_VERSION,
    name: layer.name,
    parent: layer.parent,
    depth: layer.depth,
    files: layer.files.map(({ name, bytes }, index) => ({ name, bytes, mapBytes: maps[index]!.length })),
    packs: used.map((number) => table.get(number)),
    meta: layer.meta,
  });
  const length = Buffer.alloc(4);
  length.writeUInt32LE(Buffer.byteLength(header));
  const sealed = seal(key, 'layer', await compress(Buffer.concat([length, Buffer.from(header), ...maps])));
  const layerId = createHash('sha256').update(sealed).digest('hex');
  await store.put(objectKeys.layer(key.id, layerId), sealed);
  return layerId;
}

/** @throws NotAuthentic when it is not the layer of that id, ObjectMissing, StoreFailure */
export async function readLayer(store: ObjectStore, key: StoreKey, table: PackTable, layerId: string): Promise<Layer> {
  const sealed = await store.get(objectKeys.layer(key.id, layerId));
  const name = `layer ${layerId}`;
  if (createHash('sha256').update(sealed).digest('hex') !== layerId) throw new NotAuthentic(name);
  const plain = await decompress(unseal(key, 'layer', sealed), { maxOutputLength: LAYER_BYTES_MAX });
  const headerBytes = plain.readUInt32LE(0);
  const header = headerSchema.parse(JSON.parse(plain.subarray(4, 4 + headerBytes).toString('utf8')));
  const numbers = header.packs.map(({ id, chunkBytes }) => table.numberOf(id, chunkBytes));
  let at = 4 + headerBytes;
  const files = header.files.map(({ name: fileName, bytes, mapBytes }) => {
    const runs = decodeRuns(plain.subarray(at, at + mapBytes), { pages: pagesOf(bytes), packs: numbers.length });
    at += mapBytes;
    for (const run of runs) if (run.pack !== ZERO) run.pack = numbers[run.pack]!;
    return { name: fileName, bytes, runs };
  });
  return { name: header.name, parent: header.parent, depth: header.depth, files, meta: header.meta };
}

export type Chain = { layerId: string; layer: Layer }[];

/** A layer and all below it, the lowest first. @throws as readLayer */
export async function readChain(store: ObjectStore, key: StoreKey, table: PackTable, layerId: string): Promise<Chain> {
  const chain: Chain = [];
  for (let next: string | null = layerId; next !== null; next = chain[0]!.layer.parent) {
    if (chain.length > DEPTH_MAX) throw new NotAuthentic(`the chain of layer ${layerId}`);
    const child = chain[0];
    const layer: Layer = await readLayer(store, key, table, next).catch((error: unknown) => {
      if (!(error instanceof ObjectMissing) || !child) throw error;
      throw new NotAuthentic(`layer ${child.layerId}, whose parent ${next} is not there and which therefore`);
    });
    chain.unshift({ layerId: next, layer });
  }
  return chain;
}

/**
 * The files of a chain's last layer, each with everything said of it from layer `from` of the chain on. With `from` 0 pages
 * that are not named are zero, else they are those of the layer below.
 */
export function flatten(chain: Chain, from = 0): LayerFile[] {
  return chain.at(-1)!.layer.files.map(({ name, bytes }) => {
    let runs: Run[] = [];
    for (const { layer } of chain.slice(from)) {
      const file = layer.files.find((one) => one.name === name);
      // A file that a layer does not have begins anew above it.
      runs = file ? clip(overlay(runs, file.runs), pagesOf(file.bytes)) : [];
    }
    return { name, bytes, runs };
  });
}
