import path from 'node:path';
import { DirectoryStore } from '../../hostd/storage/chunks/directory-store.ts';
import type { StoreKey } from '../../hostd/storage/chunks/keys.ts';
import { readChain } from '../../hostd/storage/chunks/layer.ts';
import { findRef } from '../../hostd/storage/chunks/refs.ts';
import { restoreLayer } from '../../hostd/storage/chunks/restore-layer.ts';
import { Scope } from '../../hostd/storage/chunks/scope.ts';
import { type StoredLayer, storeLayer } from '../../hostd/storage/chunks/store-layer.ts';

const KEY: StoreKey = { id: 'k-bench', secret: Buffer.alloc(32, 1) };

/** The chunk store as hostd uses it: one process that lives, a store in a directory, synced writes, encryption on. */
export class Ours {
  readonly objects: string;
  readonly #store: DirectoryStore;
  readonly #scope: Scope;
  readonly #layers = new Map<string, string>();

  constructor(dir: string) {
    this.objects = path.join(dir, 'objects');
    this.#store = new DirectoryStore(this.objects);
    this.#scope = new Scope({ store: this.#store, key: KEY, cacheDir: path.join(dir, 'cache') });
  }

  /** @param over name and directory of what it was made from. Without the directory every page is looked at */
  async store(dir: string, files: readonly string[], name: string, over?: { name: string; dir: string | null }) {
    const startedAt = performance.now();
    const stored: StoredLayer = await storeLayer(this.#scope, {
      name,
      files: files.map((file) => ({
        name: file,
        path: path.join(dir, file),
        parentPath: over?.dir ? path.join(over.dir, file) : null,
      })),
      parent: over ? this.#layers.get(over.name)! : null,
      meta: {},
      group: 'bench',
      checkpoint: false,
      createdAt: new Date().toISOString(),
    });
    this.#layers.set(name, stored.layerId);
    return { ms: performance.now() - startedAt, ...stored };
  }

  /** As a host that has nothing of it: no cache, no parent. */
  async restore(name: string, into: string, files: readonly string[]): Promise<number> {
    const startedAt = performance.now();
    const ref = await findRef(this.#store, KEY, name);
    const scope = new Scope({ store: this.#store, key: KEY, cacheDir: `${into}.cache` });
    const chain = await readChain(this.#store, KEY, scope.table, ref!.layer);
    await restoreLayer(
      scope,
      chain,
      files.map((file) => ({ name: file, path: path.join(into, file) })),
    );
    return performance.now() - startedAt;
  }
}
