import { z } from 'zod';

/*
 * Copies of snapshots in an object store. hostd has at most one store (HOSTD_OBJECT_STORE); without one these verbs answer
 * `missing_dependency` and snapshots stay `local`.
 *
 *   POST /v1/snapshots/:snapshotId/replicate     Replicate -> SnapshotView   begins; how far it is stands in the view (safe to repeat)
 *   POST /v1/snapshots/:snapshotId/fetch         Fetch     -> SnapshotView   ends when it is here; goes on where it was cut off
 *   POST /v1/snapshots/:snapshotId/evict        Evict    -> SnapshotView   drops this host's files, after a look that the copy is whole
 *   POST /v1/store/collect                       Collect   -> Collected      removes what no snapshot needs, and by rule old snapshots
 *   GET  /v1/snapshots/:snapshotId               SnapshotView
 *
 * Deleting a snapshot deletes its copy, too; evicting one keeps it.
 */

/**
 * What a tenant's copies are encrypted with. hostd keeps it in memory, for as long as a request needs it, and never logs it. Its
 * id is in the clear in the store and must say nothing of the tenant.
 */
export const storeKeySchema = z.object({
  id: z.string().regex(/^[a-z0-9][a-z0-9-]{2,62}$/),
  /** Base64 of 32 bytes. */
  secret: z.base64().length(44),
});
export type StoreKeyInput = z.infer<typeof storeKeySchema>;

/** Under which key a snapshot is copied, and what retention may make of the copy. */
export const replicateSchema = z.object({
  key: storeKeySchema,
  /** Retention counts within a group; opaque to hostd. */
  group: z.string().max(100),
  /** Kept by retention however old. */
  checkpoint: z.boolean().default(false),
});
export type Replicate = z.input<typeof replicateSchema>;

export const evictSchema = z.object({ key: storeKeySchema });

export const fetchSnapshotSchema = z.object({
  /** The current key and former ones; the first under which the snapshot is found is used. */
  keys: z.array(storeKeySchema).min(1).max(8),
});
export type FetchSnapshot = z.infer<typeof fetchSnapshotSchema>;

/** Whose store is cleared, and by which rules its snapshots grow old. */
export const collectSchema = z.object({
  key: storeKeySchema,
  /** Absent: no snapshot goes. One that any given rule keeps stays. */
  retention: z
    .object({
      /** Of each group the newest so many stay. */
      keepLast: z.number().int().min(1).optional(),
      keepCheckpoints: z.boolean().default(true),
      /** Younger ones stay. */
      keepYoungerMs: z.number().int().min(0).optional(),
    })
    .optional(),
});
export type Collect = z.input<typeof collectSchema>;

export const collectedSchema = z.object({
  refsKept: z.number().int(),
  refsDropped: z.number().int(),
  /** Found needless now; removed by a collection a day later. */
  condemned: z.number().int(),
  removed: z.number().int(),
  bytesRemoved: z.number(),
  bytesKept: z.number(),
});
export type Collected = z.infer<typeof collectedSchema>;

export const DURABILITIES = ['local', 'replicated'] as const;

/** What a snapshot's view says of its copy. */
export const replicaViewSchema = z.object({
  keyId: z.string(),
  /** The layer in the store, for people who look there. */
  layerId: z.string(),
  /** Bytes that this snapshot added to the store. */
  storedBytes: z.number().int(),
  replicatedAt: z.iso.datetime(),
});

export const replicationViewSchema = z.object({
  /** `waiting` for another one to end; `failed` until it is asked for again. */
  state: z.enum(['waiting', 'running', 'failed']),
  pagesRead: z.number().int(),
  pagesToRead: z.number().int(),
  bytesStored: z.number().int(),
  /** Why it failed, and what to do. */
  error: z.string().nullable(),
});
export type ReplicationView = z.infer<typeof replicationViewSchema>;
