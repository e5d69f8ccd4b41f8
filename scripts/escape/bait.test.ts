import { once } from 'node:events';
import net from 'node:net';
import { expect, it } from 'vitest';
import { Bait } from './bait.ts';

it.each(['close', 'keep-alive'])('a request behind another on one connection is seen (connection: %s)', async (connection) => {
  const bait = await Bait.put();
  const socket = net.connect(Number(new URL(bait.upstreamUrl).port), '127.0.0.1');
  const outer = `GET /git/outer HTTP/1.1\r\nhost: x\r\nconnection: ${connection}\r\n\r\n`;
  socket.end(`${outer}GET /smuggled/inner HTTP/1.1\r\nhost: x\r\n\r\n`);
  socket.resume();
  await once(socket, 'close');
  expect(bait.served.some(({ url }) => url.includes('smuggled/inner'))).toBe(true);
  await bait.remove();
});
