import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { QemuGuestAgent } from './guest-agent.ts';
import { parseLine } from './json-lines.ts';

type Request = { execute: string; arguments: Record<string, unknown>; id: number };

let dir: string;
let server: Server;
let agent: QemuGuestAgent;
let answer: (request: Request, socket: Socket) => void;
let sockets: Socket[];

beforeEach(async () => {
  dir = await mkdtemp(path.join(os.tmpdir(), 'warren-qga-'));
  sockets = [];
  server = createServer((socket) => {
    sockets.push(socket);
    socket.on('data', (chunk) => {
      for (const line of chunk.toString('latin1').split('\n')) {
        if (line !== '') answer(JSON.parse(line.replace('\xff', '')) as Request, socket);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(path.join(dir, 'qga.sock'), resolve));
  agent = await QemuGuestAgent.connect(path.join(dir, 'qga.sock'));
});
afterEach(async () => {
  agent.close();
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
  await rm(dir, { recursive: true });
});

const reply = (socket: Socket, value: unknown) => socket.write(`${JSON.stringify(value)}\n`);

describe('the guest agent’s client', () => {
  it('drops replies to calls that are not its own', async () => {
    answer = ({ id }, socket) => {
      reply(socket, { return: 'stale', id: id - 1 });
      reply(socket, { return: 'anonymous' });
      socket.write('\xff\xff no json\n');
      reply(socket, { return: {}, id });
    };
    await agent.ping(1_000);
  });

  it('asks again until an agent is there, and gives up at the deadline', async () => {
    answer = () => {};
    await expect(agent.ping(30)).rejects.toMatchObject({ code: 'guest_unreachable' });
  });

  it('reports the guest’s refusal as such', async () => {
    answer = ({ id }, socket) => reply(socket, { error: { class: 'GenericError', desc: 'no such file' }, id });
    await expect(agent.readFile('/x')).rejects.toMatchObject({
      code: 'internal',
      message: expect.stringContaining('no such file'),
    });
  });

  it('takes replies of another shape for no answer', async () => {
    answer = ({ id }, socket) => reply(socket, { return: { pid: 'one' }, id });
    await expect(agent.exec(['true'])).rejects.toMatchObject({ code: 'guest_unreachable' });
  });

  it('fails calls when the port closes, and every call after', async () => {
    answer = (_request, socket) => socket.destroy();
    await expect(agent.readFile('/x')).rejects.toMatchObject({ code: 'guest_unreachable' });
    await expect(agent.ping(1_000)).rejects.toMatchObject({ code: 'guest_unreachable' });
  });

  it('runs a program and decodes its output', async () => {
    let polls = 0;
    answer = ({ execute, id }, socket) => {
      if (execute === 'guest-exec') return reply(socket, { return: { pid: 7 }, id });
      polls += 1;
      const done = { exited: true, exitcode: 3, 'out-data': Buffer.from('grüße').toString('base64') };
      return reply(socket, { return: polls < 3 ? { exited: false } : done, id });
    };
    expect(await agent.exec(['x'])).toEqual({ exitCode: 3, stdout: 'grüße', stderr: '' });
  });
});

/** Each is what a hostile agent sends when it is asked anything; a call must end by itself, long before its deadline. */
describe('a hostile agent that answers with', { timeout: 20_000 }, () => {
  const without = (socket: Socket, piece: Buffer) => {
    const again = () => {
      // Until the client leaves or does not read any more.
      while (!socket.destroyed && socket.write(piece));
    };
    socket.on('drain', again);
    socket.on('error', () => {});
    again();
  };

  it.each([
    ['a line without end', Buffer.alloc(65_536, 'x')],
    ['lines without end', Buffer.from('{"return":{},"id":1}\n'.repeat(1_000))],
    ['noise without end', Buffer.from('\xff\xfe\x00 \n'.repeat(4_000), 'latin1')],
  ])('%s is unreachable at once', async (_name, piece) => {
    answer = (_request, socket) => without(socket, piece);
    await expect(agent.readFile('/x', 15_000)).rejects.toMatchObject({
      code: 'guest_unreachable',
      message: expect.not.stringContaining('15000 ms'),
    });
  });

  it('an array as deep as a line may be long is unreachable', async () => {
    const half = 1024 * 1024 - 50;
    answer = ({ id }, socket) => socket.write(`{"return":${'['.repeat(half)}${']'.repeat(half)},"id":${id}}\n`);
    await expect(agent.readFile('/x')).rejects.toMatchObject({ code: 'guest_unreachable' });
  });

  it('anything at all gets an error or a value, and the next call an answer', async () => {
    const value = fc.oneof(fc.jsonValue(), fc.constantFrom(null, [], {}, { exited: true }, { 'buf-b64': '%' }, -1));
    const bytes = fc.oneof(fc.uint8Array({ maxLength: 300 }), fc.constant(new Uint8Array()));
    await fc.assert(
      fc.asyncProperty(bytes, value, async (noise, returned) => {
        answer = ({ id }, socket) => {
          socket.write(Buffer.concat([noise, Buffer.from('\n')]));
          reply(socket, { return: returned, id });
        };
        await agent.readFile('/x').catch((error) => expect(error).toMatchObject({ name: 'HostdError' }));
        answer = ({ id }, socket) => reply(socket, { return: {}, id });
        await agent.ping(5_000);
      }),
      { seed: 20261126, numRuns: 200 },
    );
  });

  it('words nobody asked for is held up by its own socket', async () => {
    answer = ({ id }, socket) => reply(socket, { return: {}, id });
    await agent.ping(1_000);
    let sent = 0;
    const [socket] = sockets as [Socket];
    const piece = Buffer.alloc(65_536, '{}\n');
    while (socket.write(piece)) sent += piece.length;
    // What the kernel holds between the two, and what a socket takes before it says so.
    expect(sent).toBeLessThan(8 * 1024 * 1024);
    const drained = new Promise<void>((resolve) => socket.once('drain', () => resolve()));
    await expect(
      Promise.race([drained.then(() => 'read'), new Promise((resolve) => setImmediate(resolve, 'held up'))]),
    ).resolves.toBe('held up');
  });
});

describe('a line from a guest', () => {
  it('is a value or nothing, whatever its bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => void parseLine(Buffer.from(bytes))),
      { seed: 20261126, numRuns: 1_000 },
    );
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = JSON.stringify(value);
        expect(parseLine(Buffer.concat([Buffer.from([0xff]), Buffer.from(text)]))).toEqual(JSON.parse(text));
      }),
    );
  });
});
