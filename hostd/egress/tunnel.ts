import type { Socket } from 'node:net';
import { type Duplex, pipeline } from 'node:stream';
import { TooLargeError } from './byte-counter.ts';
import type { Exchange } from './exchange.ts';

export const ESTABLISHED = 'HTTP/1.1 200 Connection Established\r\n\r\n';

export type TunnelLimits = { requestBytesMax: number; responseBytesMax: number; idleMsMax: number };

/**
 * Joins two ends that speak something hostd does not read, until both have ended; an error on one side, too many bytes or a long
 * silence end both. Never rejects.
 *
 * @param status what the guest was told when it began
 */
export function join(guest: Duplex, host: Socket | Duplex, exchange: Exchange, limits: TunnelLimits, status: number): void {
  const up = exchange.counter('up', limits.requestBytesMax);
  const down = exchange.counter('down', limits.responseBytesMax);
  let open = 2;
  const ended = (error?: Error | null) => {
    open -= 1;
    if (error instanceof TooLargeError) exchange.end('deny', 'too_large', status);
    if (error) {
      guest.destroy();
      host.destroy();
    }
    if (open > 0) return;
    clearInterval(silence);
    exchange.end('allow', 'rule', status);
  };
  let seen = 0;
  const silence = setInterval(() => {
    const moved = up.bytes + down.bytes;
    if (moved === seen) {
      exchange.end('deny', 'idle', status);
      guest.destroy();
      host.destroy();
    }
    seen = moved;
  }, limits.idleMsMax);
  pipeline(guest, up, host, ended);
  pipeline(host, down, guest, ended);
}
