import type { Socket } from 'node:net';
import { type Duplex, pipeline } from 'node:stream';
import type { Exchange } from './exchange.ts';

export const ESTABLISHED = 'HTTP/1.1 200 Connection Established\r\n\r\n';

/** Joins a CONNECT to its upstream until both sides have ended; an error on one side ends both. Never rejects. */
export function tunnel(socket: Duplex, head: Buffer, upstream: Socket, exchange: Exchange): void {
  const up = exchange.counter('up');
  const down = exchange.counter('down');
  let open = 2;
  const ended = (error?: Error | null) => {
    open -= 1;
    if (error) {
      socket.destroy();
      upstream.destroy();
    }
    if (open > 0) return;
    exchange.end('allow', 'rule', 200);
  };
  socket.write(ESTABLISHED);
  if (head.length > 0) up.write(head);
  pipeline(socket, up, upstream, ended);
  pipeline(upstream, down, socket, ended);
}
