import path from 'node:path';
import { type Collected, collect } from '../chunks/collect.ts';
import { objectKeys } from '../chunks/format.ts';
import type { StoreKey } from '../chunks/keys.ts';
import { flatten, PackTable, readChain } from '../chunks/layer.ts';
import type { ObjectStore } from '../chunks/object-store.ts';
import { packsOf } from '../chunks/page-map.ts';
import { findRef, removeRef } from '../chunks/refs.ts';
import { type RestoreOptions, type RestoreTarget, restoreLayer } from '../chunks/restore-layer.ts';
import type { RetentionRules } from '../chunks/retention.ts';
import { Scope } from '../chunks/scope.ts';
import { type LayerSource, type Progress, type StoredLayer, storeLayer } from '../chunks/store-layer.ts';

/** A layer as it was found, from itself down to the one it all stands on. */
export type FoundLayer = {
  keyId: string;
  layerId: string;
  storedBytes: number;
  meta: unknown;
  /** Names and ids, the lowest first; the layer itself is the last. */
  chain: { name: string; layerId: string; files: string[] }[];
};

/** What replicas need of the chunk store. Arguments and results are plain data, so that it can run in a thread of its own. */
export interface Engine {
  store(key: StoreKey, source: LayerSource, onProgress: (progress: Progress) => void): Promise<StoredLayer>;
  /** Null when none of the keys has such a ref. */
  find(keys: readonly StoreKey[], name: string): Promise<FoundLayer | null>;
  restore(
    key: StoreKey,
    layerId: string,
    targets: RestoreTarget[],
    options: Pick<RestoreOptions, 'base' | 'notes'>,
  ): Promise<void>;
  /** Everything that the ref needs is in the store. */
  isWhole(key: StoreKey, name: string): Promise<boolean>;
  removeRef(keyId: string, name: string): Promise<void>;
  collect(key: StoreKey, retention: RetentionRules | undefined): Promise<Collected>;
}

/** The engine in this thread. Keeps what it knows of the key that was used last. */
export class LocalEngine implements Engine {
  readonly #store: ObjectStore;
  readonly #cacheDir: string;
  #scope: Scope | null = null;

  constructor(store: ObjectStore, cacheDir: string) {
    this.#store = store;
    this.#cacheDir = cacheDir;
  }

  store(key: StoreKey, source: LayerSource, onProgress: (progress: Progress) => void): Promise<StoredLayer> {
    if (this.#scope?.key.id !== key.id || !this.#scope.key.secret.equals(key.secret))
      this.#scope = new Scope({ store: this.#store, key, cacheDir: path.join(this.#cacheDir, key.id) });
    return storeLayer(this.#scope, source, { onProgress });
  }

  async find(keys: readonly StoreKey[], name: string): Promise<FoundLayer | null> {
    for (const key of keys) {
      const ref = await findRef(this.#store, key, name);
      if (!ref) continue;
      const chain = await readChain(this.#store, key, new PackTable(), ref.layer);
      return {
        keyId: key.id,
        layerId: ref.layer,
        storedBytes: ref.storedBytes,
        meta: chain.at(-1)!.layer.meta,
        chain: chain.map(({ layerId, layer }) => ({ name: layer.name, layerId, files: layer.files.map((file) => file.name) })),
      };
    }
    return null;
  }

  async restore(
    key: StoreKey,
    layerId: string,
    targets: RestoreTarget[],
    options: Pick<RestoreOptions, 'base' | 'notes'>,
  ): Promise<void> {
    const table = new PackTable();
    const chain = await readChain(this.#store, key, table, layerId);
    await restoreLayer({ store: this.#store, key, table }, chain, targets, options);
  }

  async isWhole(key: StoreKey, name: string): Promise<boolean> {
    const ref = await findRef(this.#store, key, name);
    if (!ref) return false;
    const table = new PackTable();
    const chain = await readChain(this.#store, key, table, ref.layer);
    for (const number of packsOf(flatten(chain).flatMap(({ runs }) => runs))) {
      const { id, chunkBytes } = table.get(number);
      const size = await this.#store.size(objectKeys.pack(key.id, id));
      if (size === null || size < chunkBytes.reduce((sum, bytes) => sum + bytes, 0)) return false;
    }
    return true;
  }

  removeRef(keyId: string, name: string): Promise<void> {
    return removeRef(this.#store, { id: keyId }, name);
  }

  collect(key: StoreKey, retention: RetentionRules | undefined): Promise<Collected> {
    return collect(this.#store, key, { now: Date.now, ...(retention === undefined ? {} : { retention }) });
  }
}
