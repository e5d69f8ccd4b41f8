import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import WebSocket, { WebSocketServer } from 'ws';
import type { GuestChannel } from '../guest/channel.ts';
import { openChannel } from '../guest/testing/open-channel.ts';
import { hasSshd, type SshdFixture, startSshdFixture } from '../guest/testing/sshd-fixture.ts';
import { serveDesktop } from './desktop-socket.ts';

const HELLO = Buffer.concat([Buffer.from('RFB 003.008\n'), Buffer.from([1, 1])]);
const KEY = Buffer.from([4, 1, 0, 0, 0, 0, 0, 97]);
const UPDATE = Buffer.from([3, 1, 0, 0, 0, 0, 5, 0, 3, 32]);

describe.skipIf(!hasSshd)(
  'a desktop over a real sshd (skipped only where openssh-server is not installed)',
  { timeout: 60_000 },
  () => {
    let sshd: SshdFixture;
    let channel: GuestChannel;
    let vnc: Server;
    let web: WebSocketServer;
    const touch = vi.fn();

    beforeEach(async () => {
      touch.mockReset();
      sshd = await startSshdFixture();
      channel = await openChannel(sshd);
      vnc = createServer().listen(path.join(sshd.dir, 'vnc.sock'));
      web = new WebSocketServer({ port: 0, host: '127.0.0.1' });
      await Promise.all([once(vnc, 'listening'), once(web, 'listening')]);
    });
    afterEach(async () => {
      for (const client of web.clients) client.terminate();
      web.close();
      vnc.close();
      channel.close();
      await sshd.close();
    });

    function join({ viewOnly = false, socketPath = path.join(sshd.dir, 'vnc.sock') } = {}) {
      const failed = vi.fn();
      web.once('connection', (ws) => {
        serveDesktop(ws, { channel, touch }, { viewOnly, socketPath }).catch((error) => {
          failed(error);
          ws.resume();
          ws.close(1011);
        });
      });
      const client = new WebSocket(`ws://127.0.0.1:${(web.address() as { port: number }).port}`);
      const closed = new Promise<{ code: number; reason: string }>((resolve) =>
        client.once('close', (code, reason) => resolve({ code, reason: reason.toString() })),
      );
      return { client, closed, failed };
    }
    const accepted = async () => (await once(vnc, 'connection'))[0] as Socket;
    const read = async (socket: Socket, bytes: number) => {
      let seen = Buffer.alloc(0);
      for await (const chunk of socket) {
        seen = Buffer.concat([seen, chunk as Buffer]);
        if (seen.length >= bytes) return seen;
      }
      return seen;
    };

    it('carries what is sent at once, both ways, and input counts as activity', async () => {
      const machine = accepted();
      const { client } = join();
      await once(client, 'open');
      client.send(HELLO);
      client.send(UPDATE);
      const server = await machine;
      const heard = once(client, 'message');
      server.write('RFB 003.008\n');
      expect(String((await heard)[0])).toBe('RFB 003.008\n');
      expect(touch).not.toHaveBeenCalled();
      client.send(KEY);
      expect(await read(server, HELLO.length + UPDATE.length + KEY.length)).toEqual(Buffer.concat([HELLO, UPDATE, KEY]));
      expect(touch).toHaveBeenCalledTimes(1);
    });

    it('carries no input of who only looks', async () => {
      const machine = accepted();
      const { client } = join({ viewOnly: true });
      await once(client, 'open');
      client.send(Buffer.concat([HELLO, KEY, UPDATE, KEY, UPDATE]));
      expect(await read(await machine, HELLO.length + 2 * UPDATE.length)).toEqual(Buffer.concat([HELLO, UPDATE, UPDATE]));
      expect(touch).not.toHaveBeenCalled();
    });

    it('ends with what is not RFB, and with the machine’s end of it', async () => {
      const machine = accepted();
      const first = join();
      await once(first.client, 'open');
      first.client.send('GET / HTTP/1.1\r\n\r\n');
      expect(await first.closed).toMatchObject({ code: 1008, reason: expect.stringContaining('not RFB') });
      expect(await read(await machine, 1)).toEqual(Buffer.alloc(0));

      const next = accepted();
      const second = join();
      (await next).end();
      expect(await second.closed).toMatchObject({ code: 1000 });
    });

    it('says that there is none', async () => {
      const { closed, failed } = join({ socketPath: path.join(sshd.dir, 'nothing.sock') });
      expect((await closed).code).toBe(1011);
      expect(failed.mock.calls[0]?.[0]).toMatchObject({ code: 'conflict', message: expect.stringContaining('no desktop') });
    });
  },
);
