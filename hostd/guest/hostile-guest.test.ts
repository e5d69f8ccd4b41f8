import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server as NetServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pino from 'pino';
import ssh2, { type ServerChannel } from 'ssh2';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { GuestChannel } from './channel.ts';
import { listFiles, readFileInGuest } from './files.ts';

const HOST_KEY = ssh2.utils.generateKeyPairSync('ed25519').private;

/** A frame of SFTP: length, type, and what follows. */
function frame(type: number, ...parts: Buffer[]): Buffer {
  const body = Buffer.concat([Buffer.from([type]), ...parts]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  return Buffer.concat([length, body]);
}
const uint32 = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
};
const VERSION = frame(2, uint32(3));

describe('a hostile guest', { timeout: 30_000 }, () => {
  let dir: string;
  let server: NetServer;
  const sockets = new Set<Socket>();
  const channels: GuestChannel[] = [];

  beforeEach(async () => {
    dir = await mkdtemp(path.join(tmpdir(), 'warren-hostile-'));
  });
  afterEach(async () => {
    for (const channel of channels.splice(0)) channel.close();
    for (const socket of sockets) socket.destroy();
    server.close();
    await rm(dir, { recursive: true, force: true });
  });

  async function connectTo(serve: (socket: Socket) => void): Promise<GuestChannel> {
    server = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => {});
      serve(socket);
    });
    const socketPath = path.join(dir, 'port');
    await new Promise<void>((resolve) => server.listen(socketPath, resolve));
    const channel = new GuestChannel({
      machineId: 'mch_00000000000000000001',
      socketPath,
      carried: null,
      origin: 'image',
      onProxyConnection: (stream) => stream.end(),
      log: pino({ level: 'silent' }),
    });
    channels.push(channel);
    await channel.start();
    return channel;
  }

  it.each([
    ['noise', (socket: Socket) => socket.write(randomBytes(4_000))],
    ['a banner and noise', (socket: Socket) => socket.write(Buffer.concat([Buffer.from('SSH-2.0-x\r\n'), randomBytes(4_000)]))],
    ['a banner and zeros', (socket: Socket) => socket.write(Buffer.concat([Buffer.from('SSH-2.0-x\r\n'), Buffer.alloc(4_000)]))],
    [
      'a banner and a huge length',
      (socket: Socket) => socket.write(Buffer.concat([Buffer.from('SSH-2.0-x\r\n'), Buffer.alloc(8, 0xff)])),
    ],
    ['babble without end', (socket: Socket) => socket.write(Buffer.alloc(1_000_000, 'SSH-2.0-'))],
    ['an end at once', (socket: Socket) => socket.end()],
  ])('that sends %s is unreachable, and nothing else happens', async (_name, speak) => {
    const channel = await connectTo((socket) => void speak(socket));
    await expect(channel.client(300)).rejects.toMatchObject({ code: 'guest_unreachable' });
  });

  /** A guest whose SSH is in order and whose SFTP server answers each request with the given bytes. */
  async function withSftpReplies(replies: Buffer[]): Promise<GuestChannel> {
    const answer = (channel: ServerChannel) => {
      const left = [...replies];
      channel.on('data', () => {
        const reply = left.shift();
        if (reply) channel.write(reply);
        else channel.close();
      });
    };
    const ssh = new ssh2.Server({ hostKeys: [HOST_KEY] }, (client) => {
      client.on('error', () => {});
      client.on('authentication', (auth) => auth.accept());
      client.on('request', (accept) => accept?.());
      client.on('session', (accept) => accept().on('subsystem', (acceptSubsystem) => answer(acceptSubsystem())));
    });
    return connectTo((socket) => ssh.injectSocket(socket));
  }

  it.each([
    ['noise', [randomBytes(200)]],
    ['a huge length', [Buffer.alloc(8, 0xff)]],
    ['an old version', [frame(2, uint32(1))]],
    ['noise after the version', [VERSION, randomBytes(200)]],
    ['an empty frame', [VERSION, Buffer.alloc(4)]],
    ['a reply to no request', [VERSION, frame(101, uint32(77), uint32(0))]],
    ['a status without text', [VERSION, frame(101, uint32(0), uint32(2))]],
    ['attributes cut short', [VERSION, frame(105, uint32(0), uint32(0xffffffff))]],
    ['a name list that claims millions', [VERSION, frame(104, uint32(0), uint32(0xffffffff))]],
    ['the end', []],
  ])('whose SFTP server sends %s gets an error, not a crash', async (_name, replies) => {
    const channel = await withSftpReplies(replies);
    const client = await channel.client(20_000);
    await expect(listFiles({ client, path: '/', deadlineMs: 300 })).rejects.toMatchObject({ name: 'HostdError' });
    await expect(readFileInGuest({ client, path: '/x', deadlineMs: 300 })).rejects.toMatchObject({ name: 'HostdError' });
  });
});
