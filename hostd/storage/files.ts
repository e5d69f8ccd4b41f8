import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { access, copyFile, link, mkdir, open, readFile, rename, rm, stat, statfs } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { HostdError } from '../errors.ts';

const run = promisify(execFile);

/** Reads a small file; null when it is not there. */
export async function readIfExists(file: string): Promise<string | null> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return null;
    throw error;
  }
}

/** @param mode what this process must be allowed to do with it, such as `X_OK` */
export function exists(file: string, mode: number = constants.F_OK): Promise<boolean> {
  return access(file, mode).then(
    () => true,
    () => false,
  );
}

export function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === code;
}

/** @returns the error to throw for a failed write: `disk_full` when that is the cause, else the error itself */
export function asDiskError(error: unknown, phase: string): unknown {
  if (!isErrno(error, 'ENOSPC') && !isErrno(error, 'EDQUOT')) return error;
  return new HostdError('disk_full', {
    message: 'the data directory is full: delete snapshots or give it more space',
    phase,
    cause: error,
  });
}

/** Writes a file so that a reader, or a start after a crash of the host, sees the old text or the new, never a part. Mode 0600. */
export async function writeAtomically(file: string, text: string): Promise<void> {
  await replaceFile(file, text, { sync: true });
  await syncPath(path.dirname(file));
}

/**
 * The same without waiting for the disk: a crash of this process loses nothing, one of the host may leave a file that says
 * nothing.
 */
export async function replaceFile(file: string, text: string, { sync = false } = {}): Promise<void> {
  const temporary = `${file}.${randomBytes(4).toString('hex')}.new`;
  try {
    const handle = await open(temporary, 'wx', 0o600);
    try {
      await handle.writeFile(text);
      if (sync) await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** fsync of a file or a directory. */
export async function syncPath(target: string): Promise<void> {
  const handle = await open(target, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** fdatasync of a file, whoever wrote to it. */
export async function syncData(file: string): Promise<void> {
  const handle = await open(file, 'r');
  try {
    await handle.datasync();
  } finally {
    await handle.close();
  }
}

/**
 * Copies a file by sharing its blocks where the file system can, in constant time; else copies its data and keeps its holes.
 * The source must not change meanwhile.
 */
export async function cloneFile(from: string, to: string): Promise<void> {
  try {
    await copyFile(from, to, constants.COPYFILE_FICLONE_FORCE | constants.COPYFILE_EXCL);
    return;
  } catch (error) {
    if (isErrno(error, 'ENOSPC') || isErrno(error, 'ENOENT') || isErrno(error, 'EEXIST'))
      throw asDiskError(error, 'storage.clone');
    await rm(to, { force: true });
  }
  try {
    await run('cp', ['--sparse=always', '--reflink=auto', '--', from, to]);
  } catch (error) {
    await rm(to, { force: true });
    // cp says only in words why it failed.
    if ((await freeBytes(path.dirname(to))) < 64 * 1024 * 1024)
      throw asDiskError(Object.assign(new Error('cp'), { code: 'ENOSPC' }), 'storage.clone');
    throw error;
  }
}

/** Gives back the blocks that hold nothing but zeros. What the file reads as does not change, so others may use it meanwhile. */
export async function digHoles(file: string): Promise<void> {
  await run('fallocate', ['--dig-holes', '--', file]);
}

/** A second name for a file that never changes, so that it outlives the first; a clone where a file can have but one. */
export async function linkFile(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    if (!['EPERM', 'EMLINK', 'EXDEV'].some((code) => isErrno(error, code))) throw error;
    await cloneFile(from, to);
  }
}

/** Whether files in `dir` can share blocks, by trying. */
export async function canReflink(dir: string): Promise<boolean> {
  const name = path.join(dir, `.reflink-${randomBytes(4).toString('hex')}`);
  try {
    const handle = await open(name, 'wx', 0o600);
    await handle.writeFile(Buffer.alloc(4096, 1));
    await handle.close();
    await copyFile(name, `${name}.copy`, constants.COPYFILE_FICLONE_FORCE);
    return true;
  } catch {
    return false;
  } finally {
    await Promise.all([rm(name, { force: true }), rm(`${name}.copy`, { force: true })]);
  }
}

/** Makes a directory only its owner may enter. @throws when it exists and belongs to someone else */
export async function makePrivateDir(dir: string): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const found = await stat(dir);
  if (found.uid !== process.getuid?.()) {
    throw new HostdError('internal', {
      message: `${dir} belongs to another user (uid ${found.uid}): remove it`,
      phase: 'storage.prepare',
    });
  }
  if ((found.mode & 0o077) !== 0) {
    const handle = await open(dir, 'r');
    await handle.chmod(0o700).finally(() => handle.close());
  }
}

/** Bytes an unprivileged process may still write to the file system that holds `dir`. */
export async function freeBytes(dir: string): Promise<number> {
  const found = await statfs(dir);
  return found.bavail * found.bsize;
}

/** Bytes the file really occupies. 0 when it is not there. */
export async function allocatedBytes(file: string): Promise<number> {
  return stat(file).then(
    (found) => found.blocks * 512,
    () => 0,
  );
}
