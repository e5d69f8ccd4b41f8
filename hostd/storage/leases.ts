import { readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { HostdError } from '../errors.ts';
import { readIfExists, writeAtomically } from './files.ts';
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
  const file = layout.lease(machineId);
  const seen = Number((await readIfExists(file)) ?? 0);
  if (lease < seen) {
    throw new HostdError('stale_lease', {
      message: `machine ${machineId} is held under lease ${seen}, the request carries ${lease}`,
      phase: 'lease',
    });
  }
  if (lease > seen) await writeAtomically(file, String(lease));
}

/** Drops the numbers of machines that are long gone. */
export async function forgetOldLeases(layout: Layout, isKept: (machineId: string) => boolean, now: number): Promise<void> {
  for (const name of await readdir(layout.leases)) {
    const file = path.join(layout.leases, name);
    if (!isKept(name) && now - (await stat(file)).mtimeMs > KEPT_MS) await rm(file, { force: true });
  }
}
