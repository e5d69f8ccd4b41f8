import type { FileEntryWithStats, SFTPWrapper, Stats } from 'ssh2';
import { FILE_BYTES_MAX, type FileEntry } from '../contract/machines.ts';
import { HostdError } from '../errors.ts';
import { type SftpTarget, sftpCall, withSftp } from './sftp.ts';

const ENTRIES_MAX = 10_000;
/** Linux' own limit; a server that sends longer names would fill our memory with them. */
const NAME_BYTES_MAX = 255;
const READ_BYTES = 32 * 1024;
const END_OF_FILE = 1;

/**
 * One directory of the guest, sorted by name, at most ENTRIES_MAX entries. Links are shown as links and followed, when at all,
 * by the guest's own sshd: nothing the guest names is ever opened on the host. Rejects with `not_found` or `conflict`.
 */
export function listFiles(target: SftpTarget): Promise<FileEntry[]> {
  const { path } = target;
  return withSftp(target, async (sftp) => {
    const stats = await sftpCall<Stats>((done) => sftp.stat(path, done));
    if (!stats.isDirectory()) throw new HostdError('conflict', { message: `${path} is not a directory`, phase: 'guest.sftp' });
    const handle = await sftpCall<Buffer>((done) => sftp.opendir(path, done));
    try {
      const entries: FileEntry[] = [];
      while (entries.length < ENTRIES_MAX) {
        const batch = await readBatch(sftp, handle);
        if (batch.length === 0) break;
        entries.push(...batch.filter(({ filename }) => filename !== '.' && filename !== '..').map(toEntry));
      }
      return entries.slice(0, ENTRIES_MAX).sort((a, b) => (a.name < b.name ? -1 : 1));
    } finally {
      sftp.close(handle, () => {});
    }
  });
}

async function readBatch(sftp: SFTPWrapper, handle: Buffer): Promise<FileEntryWithStats[]> {
  try {
    return await sftpCall<FileEntryWithStats[]>((done) => sftp.readdir(handle, done));
  } catch (error) {
    if (isEndOfFile(error)) return [];
    throw error;
  }
}

function isEndOfFile(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === END_OF_FILE;
}

function toEntry({ filename, attrs }: FileEntryWithStats): FileEntry {
  // Whoever joins names to paths must not be led elsewhere by one.
  if (filename === '' || /[/\0]/.test(filename) || Buffer.byteLength(filename) > NAME_BYTES_MAX) {
    throw new HostdError('conflict', { message: 'the machine lists a file whose name is none', phase: 'guest.sftp' });
  }
  const modified = new Date(attrs.mtime * 1000);
  return {
    name: filename,
    kind: kindOf(attrs),
    bytes: Number.isSafeInteger(attrs.size) ? attrs.size : 0,
    modifiedAt: (Number.isNaN(modified.getTime()) ? new Date(0) : modified).toISOString(),
  };
}

function kindOf(attrs: Stats): FileEntry['kind'] {
  if (attrs.isSymbolicLink()) return 'symlink';
  if (attrs.isDirectory()) return 'directory';
  return attrs.isFile() ? 'file' : 'other';
}

/** A regular file of the guest. Rejects with `too_large` beyond FILE_BYTES_MAX, however small it claimed to be. */
export function readFileInGuest(target: SftpTarget): Promise<Buffer> {
  const { path } = target;
  return withSftp(target, async (sftp) => {
    const stats = await sftpCall<Stats>((done) => sftp.stat(path, done));
    // Opening a FIFO would block the guest's SFTP server for ever.
    if (!stats.isFile()) throw new HostdError('conflict', { message: `${path} is not a regular file`, phase: 'guest.sftp' });
    if (stats.size > FILE_BYTES_MAX) throw tooLarge(path);
    const handle = await sftpCall<Buffer>((done) => sftp.open(path, 'r', done));
    try {
      const chunks: Buffer[] = [];
      for (let offset = 0; ; ) {
        const chunk = await readChunk(sftp, handle, offset);
        if (chunk.length === 0) return Buffer.concat(chunks);
        offset += chunk.length;
        if (offset > FILE_BYTES_MAX) throw tooLarge(path);
        chunks.push(chunk);
      }
    } finally {
      sftp.close(handle, () => {});
    }
  });
}

function readChunk(sftp: SFTPWrapper, handle: Buffer, offset: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const target = Buffer.allocUnsafe(READ_BYTES);
    sftp.read(handle, target, 0, READ_BYTES, offset, (error, bytesRead) => {
      if (error) return isEndOfFile(error) ? resolve(Buffer.alloc(0)) : reject(error);
      resolve(target.subarray(0, bytesRead));
    });
  });
}

function tooLarge(path: string): HostdError {
  return new HostdError('too_large', { message: `${path} is larger than ${FILE_BYTES_MAX} bytes`, phase: 'guest.sftp' });
}
