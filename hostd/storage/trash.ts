import { randomBytes } from 'node:crypto';
import { readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { faultPoint } from '../fault/fault-point.ts';
import { isErrno } from './files.ts';
import type { Layout } from './layout.ts';

/** Removes a directory so that no start after a crash finds a part of it: renamed away first, deleted then. Safe to repeat. */
export async function discard(layout: Layout, dir: string): Promise<void> {
  const target = path.join(layout.trash, `${path.basename(dir)}-${randomBytes(4).toString('hex')}`);
  try {
    await rename(dir, target);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return;
    throw error;
  }
  await faultPoint('discard.renamed');
  await rm(target, { recursive: true, force: true });
}

/** What a killed hostd did not finish deleting. */
export async function emptyTrash(layout: Layout): Promise<void> {
  for (const name of await readdir(layout.trash)) await rm(path.join(layout.trash, name), { recursive: true, force: true });
}
