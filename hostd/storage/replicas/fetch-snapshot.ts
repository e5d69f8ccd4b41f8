import { chmod, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { HostdError } from '../../errors.ts';
import type { Logger } from '../../logger.ts';
import type { StoreKey } from '../chunks/keys.ts';
import { asDiskError, isErrno, syncPath } from '../files.ts';
import { findImage } from '../images.ts';
import { imageFiles, type Layout, snapshotFiles } from '../layout.ts';
import { commitSnapshot, markDurable, writeManifest } from '../snapshots.ts';
import { discard } from '../trash.ts';
import type { Engine, FoundLayer } from './engine.ts';
import { findLocalBase, parseMeta } from './lineage.ts';
import { writeReplica } from './replica-file.ts';

export type FetchDeps = { layout: Layout; engine: Engine; hostBootId: string; log: Logger };

/**
 * Makes a snapshot of this host from its copy. Every byte is checked under the tenant's key before it is written; the manifest is
 * then signed with this host's key, so that from here on it is as if it had been made here. It exists by the last rename.
 *
 * @throws `not_found`, `incompatible`, `disk_full`
 */
export async function fetchSnapshot(deps: FetchDeps, snapshotId: string, keys: readonly StoreKey[]): Promise<void> {
  const { layout, engine, hostBootId, log } = deps;
  const startedAt = performance.now();
  const { found, key } = await requireFound(engine, keys, snapshotId);
  const meta = parseMeta(snapshotId, found);
  if (meta.kind !== 'snapshot' || meta.manifest.snapshotId !== snapshotId) throw notWhatItSays(snapshotId);

  const files = snapshotFiles(layout.fetching(snapshotId));
  await mkdir(files.dir, { recursive: true, mode: 0o700 });
  const base = await findLocalBase(layout, found);
  const names = (['memory', 'disk', 'deviceState'] as const).filter((name) => meta.manifest.files[name] !== undefined);
  const targets = names.map((name) => ({ name, path: files[name] }));
  const notes = path.join(files.dir, 'notes');
  await engine.restore(key, found.layerId, targets, { notes, ...(base ? { base } : {}) }).catch((error) => {
    throw asDiskError(error, 'snapshot.fetch');
  });
  // Late, so that it is not yet without a snapshot that names it when images are pruned.
  if (meta.imageRef !== null && !(await findImage(layout, meta.manifest.imageId)))
    await fetchImage(deps, meta.manifest.imageId, meta.imageRef, keys);
  // Its files are synced, so what counts is that this host has not gone down since.
  await writeManifest(layout, files, { ...meta.manifest, hostBootId });
  await markDurable(files);
  await writeReplica(files, {
    keyId: key.id,
    layerId: found.layerId,
    storedBytes: found.storedBytes,
    replicatedAt: new Date().toISOString(),
    evicted: false,
  });
  await rm(notes, { force: true });
  // What is left here of a snapshot that was evicted.
  await discard(layout, layout.snapshot(snapshotId).dir);
  await commitSnapshot(layout, files, snapshotId);
  const durationMs = Math.round(performance.now() - startedAt);
  log.info(
    { event: 'snapshot.fetched', snapshotId, over: base ? 'local files' : 'nothing', durationMs },
    'a snapshot was fetched',
  );
}

async function fetchImage(
  { layout, engine, log }: FetchDeps,
  imageId: string,
  ref: string,
  keys: readonly StoreKey[],
): Promise<void> {
  const { found, key } = await requireFound(engine, keys, ref);
  const meta = parseMeta(ref, found);
  if (meta.kind !== 'image' || meta.manifest.imageId !== imageId) throw notWhatItSays(ref);
  const files = imageFiles(path.join(layout.images, `.fetch-${imageId}`));
  await mkdir(files.dir, { recursive: true, mode: 0o755 });
  const names = ['disk', 'kernel', 'initrd'] as const;
  const notes = path.join(files.dir, '.notes');
  await engine.restore(
    key,
    found.layerId,
    names.map((name) => ({ name, path: files[name] })),
    { notes },
  );
  for (const name of names) await chmod(files[name], 0o644);
  await rm(notes, { force: true });
  await writeFile(files.manifest, `${JSON.stringify(meta.manifest, null, 2)}\n`, { mode: 0o600 });
  await syncPath(files.dir);
  await rename(files.dir, layout.image(imageId).dir).catch((error) => {
    // A build of the same image was finished meanwhile, or one that was begun is in the way: either is used or built again.
    if (!isErrno(error, 'ENOTEMPTY') && !isErrno(error, 'EEXIST')) throw error;
  });
  log.info({ event: 'image.fetched', imageId }, 'an image was fetched');
}

async function requireFound(
  engine: Engine,
  keys: readonly StoreKey[],
  name: string,
): Promise<{ found: FoundLayer; key: StoreKey }> {
  const found = await engine.find(keys, name);
  const key = keys.find(({ id }) => id === found?.keyId);
  if (found && key) return { found, key };
  throw new HostdError('not_found', {
    message: `the object store holds no ${name} under any of the ${keys.length} keys that were given`,
    phase: 'snapshot.fetch',
  });
}

function notWhatItSays(name: string): HostdError {
  return new HostdError('incompatible', {
    message: `the copy of ${name} holds something else: use another snapshot`,
    phase: 'snapshot.fetch',
  });
}
