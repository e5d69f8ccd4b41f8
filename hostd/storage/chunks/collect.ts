import { nameOf, objectKeys } from './format.ts';
import type { StoreKey } from './keys.ts';
import { flatten, PackTable, readChain } from './layer.ts';
import type { ObjectStore } from './object-store.ts';
import { packsOf } from './page-map.ts';
import { listRefs, removeRef } from './refs.ts';
import { decideRetention, type RetentionRules } from './retention.ts';
import { UPLOAD_MS_MAX } from './store-layer.ts';

/**
 * Removes what no ref needs, beside uploads that are under way, without a lock. Each object goes in two steps: it is condemned
 * when nothing refers to it and it is older than the grace, and removed by a later collection when its condemnation is older than
 * the grace as well and still nothing refers to it. An upload refers to nothing that is condemned when it begins, and ends
 * within UPLOAD_MS_MAX, which is shorter than the grace. So whatever it refers to was either condemned after it began, and then
 * its ref is there before anything is removed, or was too young to be condemned.
 *
 * A condemnation is never taken back: what turns out to be needed stays, and is not built upon again. So two collections at
 * once, or one that was asleep, remove nothing that a later upload relies on.
 */
export const GRACE_MS = 24 * 3_600_000;

export type Collected = {
  refsKept: number;
  refsDropped: number;
  condemned: number;
  removed: number;
  bytesRemoved: number;
  bytesKept: number;
};

type Listed = { kind: 'packs' | 'layers'; id: string; bytes: number; modifiedAtMs: number };

/**
 * @throws NotAuthentic or StoreFailure when a ref or a layer cannot be read: then nothing is removed, since what it needs is not
 * known
 */
export async function collect(
  store: ObjectStore,
  key: StoreKey,
  options: { now: () => number; retention?: RetentionRules; graceMs?: number },
): Promise<Collected> {
  const graceMs = options.graceMs ?? GRACE_MS;
  if (graceMs <= UPLOAD_MS_MAX) throw new Error('the grace must be longer than an upload may take');
  const began = options.now();
  // Before the refs: what was condemned long enough ago has by now every ref it will get.
  const condemned = await readCondemned(store, key);
  const refs = await listRefs(store, key);
  const { keep, drop } = decideRetention(refs, options.retention ?? { keepCheckpoints: true }, began);
  const needed = await markNeeded(
    store,
    key,
    keep.map(({ ref }) => ref.layer),
  );
  for (const { name } of drop) await removeRef(store, key, name);
  // A layer whose ref goes in this collection was needed until now: it is condemned, not removed.
  const result: Collected = {
    refsKept: keep.length,
    refsDropped: drop.length,
    condemned: 0,
    removed: 0,
    bytesRemoved: 0,
    bytesKept: 0,
  };
  for await (const object of listObjects(store, key)) {
    const mark = `${object.kind}-${object.id}`;
    const condemnedAt = condemned.get(mark);
    if (needed.has(mark)) result.bytesKept += object.bytes;
    else if (condemnedAt !== undefined && began - condemnedAt > graceMs) {
      await store.remove(`${objectKeys.scope(key.id)}${object.kind}/${object.id}`);
      result.removed += 1;
      result.bytesRemoved += object.bytes;
    } else {
      result.bytesKept += object.bytes;
      if (condemnedAt === undefined && began - object.modifiedAtMs > graceMs) {
        await store.put(objectKeys.condemnedOne(key.id, object.kind, object.id), Buffer.alloc(0));
        result.condemned += 1;
      }
    }
  }
  await forgetCondemned(store, key, condemned);
  return result;
}

/** When each was condemned, by the store's own clock. */
async function readCondemned(store: ObjectStore, key: StoreKey): Promise<Map<string, number>> {
  const condemned = new Map<string, number>();
  for await (const { key: objectKey, modifiedAtMs } of store.list(objectKeys.condemned(key.id)))
    condemned.set(nameOf(objectKey), modifiedAtMs);
  return condemned;
}

/** Every layer below a kept one, and every pack that shows through to a kept one. */
async function markNeeded(store: ObjectStore, key: StoreKey, layerIds: readonly string[]): Promise<Set<string>> {
  const needed = new Set<string>();
  for (const layerId of layerIds) {
    const table = new PackTable();
    const chain = await readChain(store, key, table, layerId);
    for (const link of chain) needed.add(`layers-${link.layerId}`);
    for (const pack of packsOf(flatten(chain).flatMap(({ runs }) => runs))) needed.add(`packs-${table.get(pack).id}`);
  }
  return needed;
}

async function* listObjects(store: ObjectStore, key: StoreKey): AsyncIterable<Listed> {
  for (const kind of ['packs', 'layers'] as const) {
    for await (const { key: objectKey, bytes, modifiedAtMs } of store.list(objectKeys[kind](key.id)))
      yield { kind, id: nameOf(objectKey), bytes, modifiedAtMs };
  }
}

/** Goes after its object, never before: an upload looks at condemnations first, then at what is there. */
async function forgetCondemned(store: ObjectStore, key: StoreKey, condemned: ReadonlyMap<string, number>): Promise<void> {
  const present = new Set<string>();
  for await (const { kind, id } of listObjects(store, key)) present.add(`${kind}-${id}`);
  for (const mark of condemned.keys()) {
    if (!present.has(mark)) await store.remove(`${objectKeys.condemned(key.id)}${mark}`);
  }
}
