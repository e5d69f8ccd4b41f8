import { z } from 'zod';
import { readIfExists, writeAtomically } from '../files.ts';
import type { SnapshotFiles } from '../layout.ts';

/** replica.json in a snapshot's directory: there is a whole copy in the object store. Written after the copy's ref. */
const replicaSchema = z.object({
  keyId: z.string(),
  layerId: z.string(),
  storedBytes: z.number().int(),
  replicatedAt: z.iso.datetime(),
  /** This host's memory, disk and device state are gone, or on their way. The manifest stays. */
  evicted: z.boolean(),
});
export type Replica = z.infer<typeof replicaSchema>;

/** Null when there is no copy, or nothing is known of it: storing it again finds it. */
export async function readReplica(files: SnapshotFiles): Promise<Replica | null> {
  const text = await readIfExists(files.replica);
  if (text === null) return null;
  try {
    return replicaSchema.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}

export async function writeReplica(files: SnapshotFiles, replica: Replica): Promise<void> {
  await writeAtomically(files.replica, `${JSON.stringify(replica, null, 2)}\n`);
}
