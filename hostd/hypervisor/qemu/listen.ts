import { rename } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';

/** A socket that listens, for another process to inherit. This process must not connect to it before it has let go. */
export type Listening = { fd: number; letGo: () => void };

/**
 * Listens on `socketPath` without ever accepting: whoever inherits the descriptor does. That QEMU need not make its sockets
 * keeps it out of the directory they are in, and a client can connect at once and wait for the greeting.
 */
export async function listenForHeir(socketPath: string): Promise<Listening> {
  const made = `${socketPath}.new`;
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(made, resolve);
  });
  // Node removes the path it has listened on when it closes; under another name the socket stays.
  await rename(made, socketPath);
  return { fd: descriptorOf(server), letGo: () => server.close() };
}

/** Node has no public way to the descriptor of a server; child_process takes nothing else for what a child inherits. */
function descriptorOf(server: Server): number {
  return (server as Server & { _handle: { fd: number } })._handle.fd;
}
