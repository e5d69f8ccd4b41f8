import { execFile } from 'node:child_process';
import { mkdir, open, readdir, readFile, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { canReflink, freeBytes, makePrivateDir } from './files.ts';
import type { Layout } from './layout.ts';

/*
 * Forks clone memory and disk files, which is only fast where the file system can share blocks. On others (ext4), and when we
 * are root, a sparse file with XFS in it is mounted on the data directory. The mount outlives hostd; a start finds it again.
 */
const run = promisify(execFile);
const VOLUME_SHARE_OF_FREE = 0.8;
const VOLUME_BYTES_MAX = 1024 ** 4;
const VOLUME_BYTES_MIN = 8 * 1024 ** 3;

export type Volume = {
  reflink: boolean;
  /** How files are cloned here and why, for people. */
  detail: string;
};

/**
 * Makes the data directory ready: private, with its subdirectories, on a file system that shares blocks if that can be had.
 * Safe to repeat, also from several processes.
 */
export async function prepareDataDir(layout: Layout): Promise<Volume> {
  await mkdir(path.dirname(layout.dataDir), { recursive: true });
  await makePrivateDir(layout.dataDir);
  const volume = await ensureReflink(layout);
  await makeDirs(layout);
  return volume;
}

/** The directories alone, on whatever file system is there. */
export async function makeDirs(layout: Layout): Promise<void> {
  const { dataDir, runDir, images, machines, snapshots, spares, leases, egress, trash, chunkCache, fetches, pins } = layout;
  for (const dir of [dataDir, runDir, images, machines, snapshots, spares, leases, egress, trash, chunkCache, fetches, pins])
    await makePrivateDir(dir);
}

async function ensureReflink(layout: Layout): Promise<Volume> {
  if (await canReflink(layout.dataDir)) return { reflink: true, detail: 'files are cloned in constant time' };
  if (process.getuid?.() !== 0) {
    return {
      reflink: false,
      detail: 'the file system cannot share blocks and only root can mount one that can; files are copied',
    };
  }
  try {
    await mountVolume(layout);
    if (await canReflink(layout.dataDir))
      return { reflink: true, detail: `XFS in ${layout.volumeFile} is mounted on the data directory` };
    return { reflink: false, detail: 'XFS was mounted and still cannot share blocks; files are copied' };
  } catch (error) {
    const why = error instanceof Error ? error.message.trim().split('\n').at(-1) : String(error);
    return { reflink: false, detail: `no XFS volume could be mounted (${why}); files are copied` };
  }
}

async function mountVolume(layout: Layout): Promise<void> {
  const exists = await stat(layout.volumeFile).then(
    () => true,
    () => false,
  );
  if (!exists) {
    // What is there already would be hidden by the mount.
    if ((await readdir(layout.dataDir)).length > 0) throw new Error('the data directory already holds files');
    await makeVolume(layout.volumeFile);
  }
  await run('mount', ['-o', 'loop,discard,noatime,nodev,nosuid', layout.volumeFile, layout.dataDir]).catch(async (error) => {
    // Another process may have mounted it in between.
    if (!(await isMounted(layout.dataDir))) throw error;
  });
}

async function makeVolume(file: string): Promise<void> {
  const bytes = Math.floor(Math.min((await freeBytes(path.dirname(file))) * VOLUME_SHARE_OF_FREE, VOLUME_BYTES_MAX));
  if (bytes < VOLUME_BYTES_MIN) throw new Error(`less than ${VOLUME_BYTES_MIN / 1024 ** 3 / VOLUME_SHARE_OF_FREE} GiB are free`);
  const temporary = `${file}.${process.pid}.new`;
  try {
    const handle = await open(temporary, 'wx', 0o600);
    await handle.truncate(bytes).finally(() => handle.close());
    await run('mkfs.xfs', ['-q', '-m', 'reflink=1', temporary]);
    // `link` fails where `rename` would replace a volume that another process made in the same moment.
    await run('ln', ['-T', temporary, file]).catch(() => undefined);
  } finally {
    await rm(temporary, { force: true });
  }
}

async function isMounted(dir: string): Promise<boolean> {
  const mounts = await readFile('/proc/self/mountinfo', 'utf8');
  return mounts.split('\n').some((line) => line.split(' ')[4] === dir);
}
