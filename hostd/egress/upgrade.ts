import http, { type IncomingMessage, type RequestOptions } from 'node:http';
import type { Duplex } from 'node:stream';
import { messageOf } from '../errors.ts';
import type { Exchange } from './exchange.ts';
import { endToEndHeaders } from './headers.ts';
import { join, type TunnelLimits } from './tunnel.ts';

/** Whether a request asks to become a WebSocket connection. */
export function isWebSocket(req: IncomingMessage): boolean {
  return (req.headers.upgrade ?? '').toLowerCase().includes('websocket');
}

/**
 * Sends a WebSocket handshake on and joins the two ends when the host accepts it. What is spoken from there is not read.
 *
 * @param fail says so to the guest, who has got nothing yet
 */
export function forwardUpgrade(
  guest: Duplex,
  head: Buffer,
  options: RequestOptions,
  { exchange, limits, fail }: { exchange: Exchange; limits: TunnelLimits; fail: (message: string) => void },
): void {
  const outgoing = http.request(options);
  outgoing.setTimeout(limits.idleMsMax, () => outgoing.destroy(new Error('nothing came')));
  outgoing.on('error', (error) => fail(messageOf(error)));
  outgoing.on('response', (res) => {
    outgoing.destroy();
    fail(`The host answered ${res.statusCode} instead of switching to WebSocket.`);
  });
  outgoing.on('upgrade', (res, host, first) => {
    host.on('error', () => host.destroy());
    guest.write(switching(res));
    if (first.length > 0) guest.write(first);
    if (head.length > 0) host.write(head);
    join(guest, host, exchange, limits, 101);
  });
  guest.once('close', () => outgoing.destroy());
  outgoing.end();
}

function switching(res: IncomingMessage): string {
  const headers = Object.entries({ ...endToEndHeaders(res.headers), connection: 'Upgrade', upgrade: 'websocket' });
  const lines = headers.flatMap(([name, value]) => [value].flat().map((one) => `${name}: ${one}`));
  return `HTTP/1.1 101 Switching Protocols\r\n${lines.join('\r\n')}\r\n\r\n`;
}
