import { z } from 'zod';
import { nameOf, objectKeys } from './format.ts';
import { NotAuthentic, type StoreKey, seal, unseal } from './keys.ts';
import { ObjectMissing, type ObjectStore } from './object-store.ts';

/*
 * A ref is what makes a snapshot or an image exist in the store: written last, it names the layer. Its own name is
 * authenticated with it, so one cannot be put in another's place.
 */
export const refSchema = z.object({
  layer: z.string().regex(/^[0-9a-f]{64}$/),
  createdAt: z.iso.datetime(),
  /** Retention counts within a group, such as the snapshots of one session. */
  group: z.string(),
  /** Made on purpose, to come back to. */
  checkpoint: z.boolean(),
  /** Bytes this layer added to the store when it was written: packs, map and all. */
  storedBytes: z.number().int(),
});
export type Ref = z.infer<typeof refSchema>;

export async function writeRef(store: ObjectStore, key: StoreKey, name: string, ref: Ref): Promise<void> {
  await store.put(objectKeys.ref(key.id, name), seal(key, `ref ${name}`, Buffer.from(JSON.stringify(ref))));
}

/** Null when there is none. @throws NotAuthentic, StoreFailure */
export async function findRef(store: ObjectStore, key: StoreKey, name: string): Promise<Ref | null> {
  const sealed = await store.get(objectKeys.ref(key.id, name)).catch((error: unknown) => {
    if (error instanceof ObjectMissing) return null;
    throw error;
  });
  if (sealed === null) return null;
  const parsed = refSchema.safeParse(JSON.parse(unseal(key, `ref ${name}`, sealed).toString('utf8')));
  if (!parsed.success) throw new NotAuthentic(`ref ${name}`);
  return parsed.data;
}

/** All refs under a key. One that was removed meanwhile is left out. */
export async function listRefs(store: ObjectStore, key: StoreKey): Promise<{ name: string; ref: Ref }[]> {
  const refs: { name: string; ref: Ref }[] = [];
  for await (const { key: objectKey } of store.list(objectKeys.refs(key.id))) {
    const name = nameOf(objectKey);
    const ref = await findRef(store, key, name);
    if (ref) refs.push({ name, ref });
  }
  return refs;
}

/** What nothing else needs any more is removed by the collector later. Safe to repeat. */
export async function removeRef(store: ObjectStore, { id }: Pick<StoreKey, 'id'>, name: string): Promise<void> {
  await store.remove(objectKeys.ref(id, name));
}
