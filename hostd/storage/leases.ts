import { readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { HostdError } from '../errors.ts';
import { readIfExists, replaceFile, syncPath } from './files.ts';
import type { Layout } from './layout.ts';

/** A verb delayed for longer than this is no longer feared. */
const KEPT_MS = 7 * 24 * 3_600_000;

/**
 * Refuses a lease lower than the highest seen for this machine and remembers a higher one before anything is done under it.
 * The number outlives the machine, so that a late verb of a fenced worker cannot bring it back.
 *
 * @throws `stale_lease`
 */
export async function requireLease(layout: Layout, machineId: string, lease: number): Promise<void> {
  await (await takeLease(layout, machineId, lease)).onDisk;
}

/**
 * The same for a verb that a crash of the host undoes as a whole: it need not wait for the disk before it is done.
 *
 * @returns `onDisk`, to be waited for before the verb is told to have succeeded
 */
export async function takeLease(layout: Layout, machineId: string, lease: number): Promise<{ onDisk: Promise<void> }> {
  const file = layout.lease(machineId);
  const seen = Number((await readIfExists(file)) ?? 0);
  if (lease < seen) {
    throw new HostdError('stale_lease', {
      message: `machine ${machineId} is held under lease ${seen}, the request carries ${lease}`,
      phase: 'lease',
    });
  }
  if (lease === seen) return { onDisk: Promise.resolve() };
  await replaceFile(file, String(lease));
  const onDisk = syncPath(file).then(() => syncPath(path.dirname(file)));
  // A verb that fails first does not come to wait for it.
  onDisk.catch(() => {});
  return { onDisk };
}

/** Drops the numbers of machines that are long gone. */
export async function forgetOldLeases(layout: Layout, isKept: (machineId: string) => boolean, now: number): Promise<void> {
  for (const name of await readdir(layout.leases)) {
    const file = path.join(layout.leases, name);
    if (!isKept(name) && now - (await stat(file)).mtimeMs > KEPT_MS) await rm(file, { force: true });
  }
}
