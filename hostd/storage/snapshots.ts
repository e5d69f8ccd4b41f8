import { readdir, rename } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { type SnapshotView, snapshotManifestSchema } from '../contract/machines.ts';
import { HostdError } from '../errors.ts';
import { allocatedBytes, digHoles, readIfExists, syncPath, writeAtomically } from './files.ts';
import { ensureHostKey, findHostKey, isSigned, sign } from './host-key.ts';
import type { Layout, SnapshotFiles } from './layout.ts';
import { readReplica } from './replicas/replica-file.ts';
import { discard } from './trash.ts';

/** Fewer zeros are not worth reading the file for. */
const HOLES_FROM_BYTES = 1024 * 1024;

/** The contract's manifest and what only this host needs. */
export const storedManifestSchema = snapshotManifestSchema.extend({
  /** Boot of the host that wrote it: after another boot, files that never reached the disk are not what they were. */
  hostBootId: z.string(),
  /** Of the memory, what is stored as zeros because its parent holds something else there. */
  zeroedMemoryBytes: z.number().int().default(0),
  /** What the guest side wants back after a resume. */
  carried: z.string().nullable(),
});
export type StoredManifest = z.infer<typeof storedManifestSchema>;

/** What is on the disk: the manifest and its HMAC under the host's key, over the manifest's JSON without white space. */
const signedManifestSchema = z.object({ manifest: z.looseObject({ schemaVersion: z.number() }), mac: z.string() });

type Found = { kind: 'none' } | { kind: 'refused'; found: string } | { kind: 'good'; manifest: StoredManifest };

/** Writes the manifest, signed and synced. From here on the directory can become a snapshot. */
export async function writeManifest(layout: Layout, files: SnapshotFiles, manifest: StoredManifest): Promise<void> {
  await writeSigned(await requireKey(layout), files, manifest);
}

async function writeSigned(key: string, files: SnapshotFiles, manifest: object): Promise<void> {
  const signed = { manifest, mac: sign(key, JSON.stringify(manifest)) };
  await writeAtomically(files.manifest, `${JSON.stringify(signed, null, 2)}\n`);
}

async function requireKey(layout: Layout): Promise<string> {
  const key = await findHostKey(layout);
  if (key !== null) return key;
  throw new HostdError('internal', { message: `${layout.hostKey} is gone: restart hostd`, phase: 'storage.manifest' });
}

/** Makes the host's key when there is none, and signs with it what is there: snapshots from before there were signatures. */
export async function prepareManifests(layout: Layout): Promise<void> {
  await ensureHostKey(layout, async (key) => {
    const dirs = [
      ...(await readdir(layout.snapshots)).map((id) => layout.snapshot(id)),
      ...(await readdir(layout.machines)).map((id) => layout.machine(id).vm),
    ];
    for (const files of dirs) {
      const value = parseJson(await readIfExists(files.manifest));
      const manifest = signedManifestSchema.safeParse(value).data?.manifest ?? value;
      const parsed = storedManifestSchema.safeParse(manifest);
      if (parsed.success) await writeSigned(key, files, parsed.data);
    }
  });
}

function parseJson(text: string | null): unknown {
  try {
    return text === null ? null : JSON.parse(text);
  } catch {
    return null;
  }
}

async function findManifest(layout: Layout, files: SnapshotFiles): Promise<Found> {
  const text = await readIfExists(files.manifest);
  if (text === null) return { kind: 'none' };
  const signed = signedManifestSchema.safeParse(parseJson(text)).data;
  if (!signed) return { kind: 'refused', found: 'a manifest that is damaged or not signed' };
  if (!isSigned(await requireKey(layout), JSON.stringify(signed.manifest), signed.mac)) {
    return { kind: 'refused', found: 'a manifest that was changed or comes from another host' };
  }
  const manifest = storedManifestSchema.safeParse(signed.manifest).data;
  return manifest ? { kind: 'good', manifest } : { kind: 'refused', found: 'a manifest of another version' };
}

/** @returns null when there is none, and for one that this host did not sign: such a snapshot does not exist */
export async function readManifest(layout: Layout, files: SnapshotFiles): Promise<StoredManifest | null> {
  const found = await findManifest(layout, files);
  return found.kind === 'good' ? found.manifest : null;
}

/** @throws `not_found`, or `incompatible` when its manifest is not the one this host wrote for it */
export async function requireSnapshot(layout: Layout, snapshotId: string): Promise<StoredManifest> {
  const found = await findManifest(layout, layout.snapshot(snapshotId));
  if (found.kind === 'good' && found.manifest.snapshotId === snapshotId) return found.manifest;
  if (found.kind === 'none')
    throw new HostdError('not_found', { message: `there is no snapshot ${snapshotId} on this host`, phase: 'storage.snapshot' });
  const what = found.kind === 'good' ? `the manifest of snapshot ${found.manifest.snapshotId}` : found.found;
  throw new HostdError('incompatible', {
    message: `snapshot ${snapshotId} is not used: required a manifest signed by this host, found ${what}; use another snapshot or start anew`,
    phase: 'snapshot.check',
  });
}

/** Turns a machine's files, manifest included, into the snapshot: one rename, so it exists whole or not at all. */
export async function commitSnapshot(layout: Layout, from: SnapshotFiles, snapshotId: string): Promise<void> {
  await rename(from.dir, layout.snapshot(snapshotId).dir);
  await syncPath(layout.snapshots);
}

/** Brings memory and disk to stable storage, zeros as holes. Takes as long as the disk needs; a snapshot can be used before. */
export async function makeDurable(layout: Layout, snapshotId: string): Promise<void> {
  const files = layout.snapshot(snapshotId);
  // A snapshot of a disk alone has no memory.
  const present = (await readdir(files.dir)).map((name) => path.join(files.dir, name));
  const manifest = await readManifest(layout, files);
  if (manifest && manifest.zeroedMemoryBytes >= HOLES_FROM_BYTES) await digHoles(files.memory);
  await Promise.all([files.memory, files.disk].filter((file) => present.includes(file)).map(syncPath));
  await markDurable(files);
}

export async function markDurable(files: SnapshotFiles): Promise<void> {
  await writeAtomically(files.durable, '');
}

export async function isDurable(files: SnapshotFiles): Promise<boolean> {
  return (await readIfExists(files.durable)) !== null;
}

export async function listSnapshots(layout: Layout): Promise<SnapshotView[]> {
  const views: SnapshotView[] = [];
  for (const snapshotId of await readdir(layout.snapshots)) {
    const manifest = await readManifest(layout, layout.snapshot(snapshotId));
    if (manifest?.snapshotId === snapshotId) views.push(await toSnapshotView(layout, manifest));
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
    ...(await copyOf(files)),
  };
}

/** What is known on the disk of its copy; one that is being made stands with whoever makes it. */
async function copyOf(files: SnapshotFiles): Promise<Pick<SnapshotView, 'durability' | 'here' | 'replica' | 'replication'>> {
  const found = await readReplica(files);
  if (!found) return { durability: 'local', here: true, replica: null, replication: null };
  const { evicted, ...replica } = found;
  return { durability: 'replicated', here: !evicted, replica, replication: null };
}

/** Safe to repeat. */
export async function removeSnapshot(layout: Layout, snapshotId: string): Promise<void> {
  await discard(layout, layout.snapshot(snapshotId).dir);
}
