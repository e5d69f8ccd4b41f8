import { rm } from 'node:fs/promises';
import { createConnection, createServer, type Server } from 'node:net';
import path from 'node:path';
import { HostdError } from '../errors.ts';
import { isErrno } from './files.ts';
import type { Layout } from './layout.ts';

/**
 * Keeps a second hostd away from the same data directory: both would take up the same machines. The kernel closes the socket
 * with the process, however it ends, so nothing is left to clean up.
 *
 * @throws `conflict` while another one runs
 */
export async function holdDataDir(layout: Layout): Promise<Server> {
  const file = path.join(layout.runDir, 'hostd.sock');
  try {
    return await listen(file);
  } catch (error) {
    if (!isErrno(error, 'EADDRINUSE')) throw error;
  }
  if (await answers(file)) {
    throw new HostdError('conflict', {
      message: `another hostd runs on ${layout.dataDir}: stop it, or set HOSTD_DATA_DIR`,
      phase: 'start',
    });
  }
  await rm(file, { force: true });
  return listen(file);
}

function listen(file: string): Promise<Server> {
  const server = createServer((socket) => socket.destroy());
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(file, () => resolve(server.unref()));
  });
}

function answers(file: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(file);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
