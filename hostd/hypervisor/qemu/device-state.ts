import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { chmod, open, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { HostdError } from '../../errors.ts';
import { asDiskError } from '../../storage/files.ts';

/*
 * The device state leaves QEMU over a unix socket and comes to it in a file that it has open, never through a program that
 * QEMU would have to start: its sandbox kills it for that.
 */

/** A state beyond this holds guest memory: the memory file was not left out, and the disk would fill. */
const STATE_BYTES_MAX = 256 * 1024 * 1024;

export type Saved = { sha256: string; bytes: number };

/**
 * Listens on `socketPath` for one connection and writes what comes to `file`, synced.
 *
 * @param send makes QEMU connect; rejects when it cannot
 * @throws `disk_full` when the file could not be written, whatever `send` says about it
 */
export async function receiveState(socketPath: string, file: string, send: () => Promise<void>): Promise<Saved> {
  await rm(socketPath, { force: true });
  const server = createServer({ pauseOnConnect: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(socketPath, resolve);
  });
  // QEMU has a user of its own. The directories above are hostd's: nobody else gets here.
  await chmod(socketPath, 0o666);
  let diskError: unknown = null;
  const received = new Promise<Saved>((resolve, reject) => {
    server.once('connection', (socket) => {
      writeSynced(socket, file).then(resolve, (error) => {
        diskError = error;
        socket.destroy();
        reject(error);
      });
    });
  });
  received.catch(() => undefined);
  try {
    await send();
    return await received;
  } catch (error) {
    await rm(file, { force: true });
    throw asDiskError(diskError ?? error, 'qemu.save');
  } finally {
    server.close();
    await rm(socketPath, { force: true });
  }
}

async function writeSynced(source: AsyncIterable<Buffer> & { resume(): unknown }, file: string): Promise<Saved> {
  const handle = await open(file, 'w', 0o600);
  try {
    const hash = createHash('sha256');
    let bytes = 0;
    for await (const chunk of source) {
      bytes += chunk.length;
      if (bytes > STATE_BYTES_MAX)
        throw new HostdError('internal', { message: 'the device state has no end', phase: 'qemu.save' });
      hash.update(chunk);
      await handle.writeFile(chunk);
    }
    await handle.sync();
    return { sha256: hash.digest('hex'), bytes };
  } finally {
    await handle.close();
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
