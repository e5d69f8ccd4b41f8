import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';
import { GuestPort } from './port.ts';

it('GuestPort ends a connection whose guest reads nothing at all once too much waits for it', async () => {
  const dir = await mkdtemp(path.join(tmpdir(), 'warren-port-'));
  const sockets: Socket[] = [];
  const server = createServer({ pauseOnConnect: true }, (socket) => sockets.push(socket.on('error', () => {})));
  try {
    await new Promise<void>((resolve) => server.listen(path.join(dir, 'port'), resolve));
    const port = await GuestPort.connect(path.join(dir, 'port'));
    const stream = port.openStream(Buffer.alloc(0));
    const errors: Error[] = [];
    stream.on('error', (error) => errors.push(error));
    const mebibyte = Buffer.alloc(2 ** 20);
    for (let sent = 0; sent < 60; sent += 1) stream.write(mebibyte);
    await new Promise((resolve) => setImmediate(resolve));
    expect(errors).toEqual([]);
    for (let sent = 0; sent < 10; sent += 1) stream.write(mebibyte);
    await new Promise((resolve) => setImmediate(resolve));
    expect(errors.map(({ message }) => message)).toEqual([expect.stringContaining('bytes unread')]);
    port.close();
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
    await rm(dir, { recursive: true, force: true });
  }
});
