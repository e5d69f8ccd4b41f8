import { readdir, rename } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { type SnapshotView, snapshotManifestSchema } from '../contract/machines.ts';
import { HostdError } from '../errors.ts';
import { allocatedBytes, readIfExists, syncPath, writeAtomically } from './files.ts';
import type { Layout, SnapshotFiles } from './layout.ts';
import { discard } from './trash.ts';

/** The contract's manifest and what only this host needs. */
export const storedManifestSchema = snapshotManifestSchema.extend({
  /** Boot of the host that wrote it: after another boot, files that never reached the disk are not what they were. */
  hostBootId: z.string(),
  /** What the guest side wants back after a resume. */
  carried: z.string().nullable(),
});
export type StoredManifest = z.infer<typeof storedManifestSchema>;

/** Writes the manifest, synced. From here on the directory can become a snapshot. */
export async function writeManifest(files: SnapshotFiles, manifest: StoredManifest): Promise<void> {
  await writeAtomically(files.manifest, `${JSON.stringify(manifest, null, 2)}\n`);
}

/** @returns null when there is none, and for one that is damaged: such a snapshot does not exist */
export async function readManifest(files: SnapshotFiles): Promise<StoredManifest | null> {
  const text = await readIfExists(files.manifest);
  if (text === null) return null;
  try {
    return storedManifestSchema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

/** @throws `not_found` */
export async function requireSnapshot(layout: Layout, snapshotId: string): Promise<StoredManifest> {
  const manifest = await readManifest(layout.snapshot(snapshotId));
  if (manifest) return manifest;
  throw new HostdError('not_found', { message: `there is no snapshot ${snapshotId} on this host`, phase: 'storage.snapshot' });
}

/** Turns a machine's files, manifest included, into the snapshot: one rename, so it exists whole or not at all. */
export async function commitSnapshot(layout: Layout, from: SnapshotFiles, snapshotId: string): Promise<void> {
  await rename(from.dir, layout.snapshot(snapshotId).dir);
  await syncPath(layout.snapshots);
}

/** Brings memory and disk to stable storage. Takes as long as the disk needs; a snapshot can be used before. */
export async function makeDurable(files: SnapshotFiles): Promise<void> {
  // A snapshot of a disk alone has no memory.
  const present = (await readdir(files.dir)).map((name) => path.join(files.dir, name));
  await Promise.all([files.memory, files.disk].filter((file) => present.includes(file)).map(syncPath));
  await writeAtomically(files.durable, '');
}

export async function isDurable(files: SnapshotFiles): Promise<boolean> {
  return (await readIfExists(files.durable)) !== null;
}

export async function listSnapshots(layout: Layout): Promise<SnapshotView[]> {
  const views: SnapshotView[] = [];
  for (const snapshotId of await readdir(layout.snapshots)) {
    const manifest = await readManifest(layout.snapshot(snapshotId));
    if (manifest) views.push(await toSnapshotView(layout, manifest));
  }
  return views;
}

export async function toSnapshotView(layout: Layout, manifest: StoredManifest): Promise<SnapshotView> {
  const files = layout.snapshot(manifest.snapshotId);
  const sizes = await Promise.all([files.memory, files.disk, files.deviceState].map(allocatedBytes));
  return {
    snapshotId: manifest.snapshotId,
    manifest: snapshotManifestSchema.parse(manifest),
    storedBytes: sizes.reduce((sum, bytes) => sum + bytes, 0),
  };
}

/** Safe to repeat. */
export async function removeSnapshot(layout: Layout, snapshotId: string): Promise<void> {
  await discard(layout, layout.snapshot(snapshotId).dir);
}
