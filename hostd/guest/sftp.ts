import type { Client, SFTPWrapper } from 'ssh2';
import { HostdError } from '../errors.ts';

const SFTP_DEADLINE_MS = 20_000;
const STATUS = { noSuchFile: 2, permissionDenied: 3 } as const;

/** One SFTP session per connection, opened on first use. */
const sessions = new WeakMap<Client, Promise<SFTPWrapper>>();

function openSftp(client: Client): Promise<SFTPWrapper> {
  const open = sessions.get(client);
  if (open) return open;
  const opening = new Promise<SFTPWrapper>((resolve, reject) => {
    client.once('close', () => reject(new Error('the connection closed')));
    client.sftp((error, sftp) => {
      if (error) return reject(error);
      // A guest that sends malformed replies loses its session, nothing else.
      sftp.on('error', () => sessions.delete(client));
      sftp.on('close', () => sessions.delete(client));
      resolve(sftp);
    });
  });
  opening.catch(() => sessions.delete(client));
  sessions.set(client, opening);
  return opening;
}

export type SftpTarget = { client: Client; path: string; deadlineMs?: number };

/**
 * Runs file operations over SFTP within one deadline. The guest may be hostile: when it does not answer, the session is dropped.
 * Rejects with `not_found`, `conflict` (wrong kind of file, no permission) or `guest_unreachable`.
 */
export async function withSftp<T>(
  { client, path, deadlineMs = SFTP_DEADLINE_MS }: SftpTarget,
  work: (sftp: SFTPWrapper) => Promise<T>,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  let sftp: SFTPWrapper | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      sftp?.end();
      sessions.delete(client);
      reject(new HostdError('guest_unreachable', { message: `SFTP did not answer for ${path}`, phase: 'guest.sftp' }));
    }, deadlineMs);
  });
  try {
    return await Promise.race([
      late,
      openSftp(client).then((opened) => {
        sftp = opened;
        return work(opened);
      }),
    ]);
  } catch (error) {
    throw toHostdError(error, path);
  } finally {
    clearTimeout(timer);
  }
}

function toHostdError(error: unknown, path: string): HostdError {
  if (error instanceof HostdError) return error;
  const status = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  const options = { phase: 'guest.sftp', cause: error };
  if (status === STATUS.noSuchFile)
    return new HostdError('not_found', { message: `${path} does not exist in the machine`, ...options });
  if (status === STATUS.permissionDenied) return new HostdError('conflict', { message: `${path} may not be read`, ...options });
  if (typeof status === 'number') return new HostdError('conflict', { message: `${path}: ${String(error)}`, ...options });
  return new HostdError('guest_unreachable', { message: `SFTP for ${path} failed: ${String(error)}`, ...options });
}

/** A node-style call of ssh2 as a promise. */
export function sftpCall<T>(call: (done: (error: Error | null | undefined, value: T) => void) => void): Promise<T> {
  return new Promise((resolve, reject) => call((error, value) => (error ? reject(error) : resolve(value))));
}
