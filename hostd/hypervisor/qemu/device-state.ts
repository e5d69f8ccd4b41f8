import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { createConnection, createServer } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { HostdError } from '../../errors.ts';
import { asDiskError } from '../../storage/files.ts';

/*
 * The device state travels over a unix socket between QEMU and hostd, never through a program that QEMU would have to start:
 * its sandbox kills it for that.
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

/** Sends the file to QEMU, which listens on `socketPath`. */
export async function sendState(socketPath: string, file: string): Promise<void> {
  await pipeline(createReadStream(file), createConnection(socketPath));
}

/** @throws `incompatible` when the file is not what was saved */
export async function verifyState(file: string, sha256: string): Promise<void> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file)) hash.update(chunk);
  const found = hash.digest('hex');
  if (found === sha256) return;
  throw new HostdError('incompatible', {
    message: `the device state is damaged: required sha256 ${sha256}, found ${found}; boot from the snapshot's disk instead`,
    phase: 'qemu.load',
  });
}
