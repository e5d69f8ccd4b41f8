import { createHash } from 'node:crypto';
import { constants, createReadStream, createWriteStream } from 'node:fs';
import { open, rm, writeFile } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { HostdError } from '../../errors.ts';
import { asDiskError } from '../../storage/files.ts';

/*
 * The device state leaves and enters QEMU in files of its own, never through a program that QEMU would have to start: its sandbox
 * kills it for that.
 */

/** A real state is under 1 MiB. A QEMU that a guest has taken over must not fill the disk. */
const STATE_BYTES_MAX = 256 * 1024 * 1024;

export type SavedState = { sha256: string; bytes: number };

/**
 * Takes the state that QEMU has written to its outbox into a file of our own, and empties the outbox. Whoever needs the file to
 * outlive a crash of the host syncs it: the machine may stand still meanwhile.
 *
 * @throws `disk_full` or `internal`; nothing is left at `to` then
 */
export async function takeFromOutbox(outbox: string, to: string): Promise<SavedState> {
  const source = await open(outbox, constants.O_RDWR | constants.O_NOFOLLOW);
  try {
    const { size } = await source.stat();
    const bytes = Buffer.alloc(Math.min(size, STATE_BYTES_MAX + 1));
    const { bytesRead } = await source.read(bytes, 0, bytes.length, 0);
    if (bytesRead === 0 || bytesRead > STATE_BYTES_MAX) {
      const message = `the device state that QEMU wrote is ${size} bytes long`;
      throw new HostdError('internal', { message, phase: 'qemu.save' });
    }
    const state = bytes.subarray(0, bytesRead);
    await writeFile(to, state, { mode: 0o600 });
    await source.truncate(0);
    return { sha256: createHash('sha256').update(state).digest('hex'), bytes: bytesRead };
  } catch (error) {
    await rm(to, { force: true });
    throw asDiskError(error, 'qemu.save');
  } finally {
    await source.close();
  }
}

/**
 * Copies the file to where QEMU reads it, and checks the very bytes that were copied.
 *
 * @throws `incompatible` when the file is not what was saved
 */
export async function fillInbox(inbox: string, file: string, sha256: string): Promise<void> {
  const hash = createHash('sha256');
  await pipeline(
    createReadStream(file),
    async function* (chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        hash.update(chunk);
        yield chunk;
      }
    },
    createWriteStream(inbox, { flags: 'r+' }),
  );
  const found = hash.digest('hex');
  if (found === sha256) return;
  throw new HostdError('incompatible', {
    message: `the device state is damaged: required sha256 ${sha256}, found ${found}; boot from the snapshot's disk instead`,
    phase: 'qemu.load',
  });
}
