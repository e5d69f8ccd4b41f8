import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { HASH_BYTES, nameOf, objectKeys, PAGES_PER_PACK } from './format.ts';
import { PageHasher, type StoreKey } from './keys.ts';
import { PackTable } from './layer.ts';
import type { ObjectStore } from './object-store.ts';
import { decodeDirectory, encodeDirectory, type PackDirectory, readDirectory } from './pack.ts';
import { PageIndex } from './page-index.ts';

const CHECK_BYTES = 32;

/**
 * What one host knows of the objects under one key: which packs are there, and which pages are in them. The directories of
 * packs are kept in a local directory that may be deleted at any time; they are what makes an interrupted upload go on where
 * it was, since the packs it wrote are found again as duplicates.
 */
export class Scope {
  readonly store: ObjectStore;
  readonly key: StoreKey;
  readonly table = new PackTable();
  readonly index: PageIndex;
  readonly hasher: PageHasher;
  /** Pages in a pack that is written from here. */
  readonly packPages: number;
  readonly #cacheDir: string;
  readonly #known = new Set<string>();
  #condemned = new Set<string>();
  #present = new Set<string>();

  /** @param cacheDir private to this host and this key; made when it is not there */
  constructor(options: { store: ObjectStore; key: StoreKey; cacheDir: string; index?: PageIndex; packPages?: number }) {
    this.store = options.store;
    this.key = options.key;
    this.index = options.index ?? new PageIndex();
    this.packPages = options.packPages ?? PAGES_PER_PACK;
    this.hasher = new PageHasher(options.key);
    this.#cacheDir = options.cacheDir;
  }

  /**
   * Looks at what is stored now. Condemned objects first: one that is removed between the two looks is then seen in neither.
   * What is found here may be referred to until the collector's grace has passed (collect.ts).
   */
  async refresh(): Promise<void> {
    this.#condemned = await namesUnder(this.store, objectKeys.condemned(this.key.id));
    this.#present = await namesUnder(this.store, objectKeys.packs(this.key.id));
    await mkdir(this.#cacheDir, { recursive: true, mode: 0o700 });
    for (const name of await readdir(this.#cacheDir)) {
      if (!this.canUsePack(name)) await rm(path.join(this.#cacheDir, name), { force: true });
      else if (!this.#known.has(name)) await this.#readCached(name);
    }
    this.forgetLost();
  }

  /** Pages of packs that are gone, or that were begun and never stored, are not found any more. */
  forgetLost(): void {
    for (const packId of this.#known) if (!this.canUsePack(packId)) this.#known.delete(packId);
    this.index.forget((pack) => !this.#known.has(this.table.get(pack).id));
  }

  canUsePack(packId: string): boolean {
    return this.#present.has(packId) && !this.#condemned.has(`packs-${packId}`);
  }

  canUseLayer(layerId: string): boolean {
    return !this.#condemned.has(`layers-${layerId}`);
  }

  /** Reads from the store what pages these packs hold, for packs that this host did not write. */
  async learn(packIds: Iterable<string>): Promise<void> {
    for (const packId of packIds) {
      if (!this.#known.has(packId)) await this.remember(await readDirectory(this.store, this.key, packId));
    }
  }

  /** A pack is in the store now. */
  async remember(directory: PackDirectory): Promise<void> {
    this.#take(directory);
    const body = encodeDirectory(directory);
    const file = path.join(this.#cacheDir, directory.packId);
    await writeFile(`${file}.new`, Buffer.concat([body, check(directory.packId, body)]), { mode: 0o600 });
    await rename(`${file}.new`, file);
  }

  #take({ packId, chunkBytes, hashes }: PackDirectory): void {
    if (this.#known.has(packId)) return;
    this.#known.add(packId);
    this.#present.add(packId);
    const pack = this.table.numberOf(packId, chunkBytes);
    for (let slot = 0; slot * HASH_BYTES < hashes.length; slot += 1)
      this.index.add(hashes.subarray(slot * HASH_BYTES, (slot + 1) * HASH_BYTES), { pack, slot });
  }

  async #readCached(packId: string): Promise<void> {
    const bytes = await readFile(path.join(this.#cacheDir, packId));
    const body = bytes.subarray(0, -CHECK_BYTES);
    // The host may have gone down before it was on the disk.
    if (bytes.length > CHECK_BYTES && check(packId, body).equals(bytes.subarray(-CHECK_BYTES)))
      this.#take(decodeDirectory(packId, body));
    else await rm(path.join(this.#cacheDir, packId), { force: true });
  }
}

function check(packId: string, body: Buffer): Buffer {
  return createHash('sha256').update(packId).update(body).digest();
}

async function namesUnder(store: ObjectStore, prefix: string): Promise<Set<string>> {
  const names = new Set<string>();
  for await (const { key } of store.list(prefix)) names.add(nameOf(key));
  return names;
}
