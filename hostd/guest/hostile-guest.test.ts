import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { createConnection, createServer, type Server as NetServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import pino from 'pino';
import ssh2, { type Connection, type ServerChannel } from 'ssh2';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { GuestChannel } from './channel.ts';
import { execInGuest, openCommand } from './exec.ts';
import { listFiles, readFileInGuest } from './files.ts';
import { connectSsh, GUEST_LOGIN } from './ssh.ts';

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

/** The parts of ssh2's server that send what its public methods would not. */
type ServerProtocol = {
  channelOpenConfirm(remote: number, local: number, window: number, packetSize: number): void;
  channelWindowAdjust(channel: number, bytes: number): void;
  channelData(channel: number, data: Buffer): void;
  channelExtData(channel: number, data: Buffer, type: number): void;
  _packetRW: { write: { allocStart: number; alloc(bytes: number): Buffer; finalize(packet: Buffer): Buffer } };
  _cipher: { encrypt(packet: Buffer): void };
};
const protocolOf = (connection: Connection) => (connection as unknown as { _protocol: ServerProtocol })._protocol;
const STDERR = 1;

/** An SSH message as it is, whatever it says. */
function sendRaw(connection: Connection, message: Uint8Array): void {
  const { _packetRW: packets, _cipher: cipher } = protocolOf(connection);
  const packet = packets.write.alloc(message.length);
  packet.set(message, packets.write.allocStart);
  cipher.encrypt(packets.write.finalize(packet));
}

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

  /** A guest with an SSH server in order, apart from what `spoil` does with a new connection. */
  function withServer(spoil: (connection: Connection) => void): Promise<GuestChannel> {
    const ssh = new ssh2.Server({ hostKeys: [HOST_KEY] }, (connection) => {
      connection.on('error', () => {});
      connection.on('authentication', (auth) => auth.accept());
      connection.on('request', (accept) => accept?.());
      spoil(connection);
    });
    return connectTo((socket) => ssh.injectSocket(socket));
  }

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
    return withServer((connection) =>
      connection.on('session', (accept) => accept().on('subsystem', (acceptSubsystem) => answer(acceptSubsystem()))),
    );
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

  const string = (text: string) => Buffer.concat([uint32(Buffer.byteLength(text)), Buffer.from(text)]);
  const DIRECTORY = Buffer.concat([uint32(4), uint32(0o40755)]);

  /** Answers the requests of one directory listing as a server does: version, attributes, handle, one batch of names, the end. */
  const listing = (names: readonly string[]) => [
    VERSION,
    frame(105, uint32(0), DIRECTORY),
    frame(102, uint32(1), string('handle')),
    frame(104, uint32(2), uint32(names.length), ...names.flatMap((name) => [string(name), string(name), DIRECTORY])),
    frame(101, uint32(3), uint32(1), string(''), string('')),
  ];

  it('whose names are in order is listed', async () => {
    const channel = await withSftpReplies(listing(['a', '.', 'b c', '..']));
    const entries = await listFiles({ client: await channel.client(20_000), path: '/' });
    expect(entries.map(({ name, kind }) => [name, kind])).toEqual([
      ['a', 'directory'],
      ['b c', 'directory'],
    ]);
  });

  it.each([['../../etc/passwd'], ['/etc/passwd'], ['a/b'], ['a\0b'], [''], ['x'.repeat(256)]])(
    'that lists a file named %j is refused',
    async (name) => {
      const channel = await withSftpReplies(listing(['a', name]));
      const client = await channel.client(20_000);
      await expect(listFiles({ client, path: '/' })).rejects.toMatchObject({ code: 'conflict' });
    },
  );

  it('whose SFTP replies are random gets an error, not a crash', async () => {
    let replies: Buffer[] = [];
    await withServer((connection) =>
      connection.on('session', (accept) =>
        accept().on('subsystem', (acceptSubsystem) => {
          const channel = acceptSubsystem();
          const left = [...replies];
          channel.on('data', () => {
            const reply = left.shift();
            if (reply) channel.write(reply);
            else channel.close();
          });
        }),
      ),
    );
    // Replies of every kind to the request that waits, with anything behind it.
    const reply = fc
      .tuple(fc.integer({ min: 100, max: 106 }), fc.nat(3), fc.uint8Array({ maxLength: 120 }))
      .map(([type, id, rest]) => frame(type, uint32(id), Buffer.from(rest)));
    await fc.assert(
      fc.asyncProperty(fc.array(reply, { maxLength: 4 }), async (made) => {
        replies = [VERSION, ...made];
        const client = await connectSsh(createConnection(path.join(dir, 'port')), { login: GUEST_LOGIN, deadlineMs: 20_000 });
        const listed = listFiles({ client, path: '/', deadlineMs: 200 });
        await listed.catch((error) => expect(error).toMatchObject({ name: 'HostdError' }));
        client.destroy();
      }),
      { seed: 20261126, numRuns: 100 },
    );
  });

  const cat = { argv: ['cat'], user: 'root', cwd: '/', timeoutMs: 20_000, stdin: Buffer.alloc(1_000_000) } as const;

  it.each([
    ['packets of no size', 2 ** 21, 0],
    ['packets of one byte', 2 ** 21, 1],
    ['a window of four gigabytes', 2 ** 32 - 1, 32_768],
  ])('that asks for %s loses the connection, and hostd goes on', async (_name, window, packetSize) => {
    const channel = await withServer((connection) => {
      const protocol = protocolOf(connection);
      const confirm = protocol.channelOpenConfirm.bind(protocol);
      protocol.channelOpenConfirm = (remote, local) => confirm(remote, local, window, packetSize);
      connection.on('session', (accept) => accept().on('exec', (acceptExec) => acceptExec()));
    });
    const client = await channel.client(20_000);
    await expect(execInGuest(client, cat)).rejects.toMatchObject({ code: 'guest_unreachable' });
  });

  it('that opens its window further and further loses the connection', async () => {
    const channel = await withServer((connection) =>
      connection.on('session', (accept) =>
        accept().on('exec', (acceptExec) => {
          const { id } = (acceptExec() as unknown as { outgoing: { id: number } }).outgoing;
          for (let round = 0; round < 10; round += 1) protocolOf(connection).channelWindowAdjust(id, 2 ** 22);
        }),
      ),
    );
    const client = await channel.client(20_000);
    await expect(execInGuest(client, cat)).rejects.toMatchObject({ code: 'guest_unreachable' });
  });

  it.each(['output', 'error output'] as const)('that sends %s beyond the window loses the connection', async (which) => {
    const channel = await withServer((connection) =>
      connection.on('session', (accept) =>
        accept().on('exec', (acceptExec) => {
          const { id } = (acceptExec() as unknown as { outgoing: { id: number } }).outgoing;
          const piece = Buffer.alloc(32_768, 'x');
          const protocol = protocolOf(connection);
          for (let sent = 0; sent <= 2 ** 24; sent += piece.length) {
            if (which === 'output') protocol.channelData(id, piece);
            else protocol.channelExtData(id, piece, STDERR);
          }
        }),
      ),
    );
    const client = await channel.client(20_000);
    const lost = new Promise<void>((resolve) => client.once('close', () => resolve()));
    // Nobody reads, as when the person behind it is slow.
    const unread = await openCommand(client, 'x');
    await lost;
    expect(unread.readableLength + unread.stderr.readableLength).toBeLessThan(2 ** 22);
  });

  it('that opens channels nobody asked for gets none of them', async () => {
    const opened: string[] = [];
    const channel = await withServer((connection) => {
      const note = (name: string) => (error: Error | undefined) => opened.push(error ? '' : name);
      connection.once('ready', () => {
        connection.x11('127.0.0.1', 6000, note('x11'));
        connection.forwardOut('127.0.0.1', 22, '127.0.0.1', 5432, note('another forward'));
        connection.openssh_forwardOutStreamLocal('/run/host.sock', note('unix socket'));
      });
    });
    const client = await channel.client(20_000);
    // The answer to a request of ours comes after those to theirs.
    await expect(openCommand(client, 'x')).rejects.toMatchObject({ code: 'guest_unreachable' });
    expect(opened).toEqual(['', '', '']);
  });

  it('whose SSH messages are random ends at most its own connection', async () => {
    let connection: Connection | null = null;
    await withServer((made) => {
      connection = made;
      made.on('session', (accept) => accept().on('exec', (acceptExec) => acceptExec()));
    });
    // Above all those of the connection protocol, from 80 on; any length up to 200 bytes behind the type.
    const message = fc.tuple(
      fc.oneof(fc.integer({ min: 80, max: 100 }), fc.integer({ min: 1, max: 127 })),
      fc.uint8Array({ maxLength: 200 }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(message, { minLength: 1, maxLength: 8 }), async (messages) => {
        const client = await connectSsh(createConnection(path.join(dir, 'port')), { login: GUEST_LOGIN, deadlineMs: 20_000 });
        await openCommand(client, 'x');
        const over = new Promise<void>((resolve) => client.once('close', () => resolve()));
        for (const [type, rest] of messages) sendRaw(connection!, Uint8Array.of(type, ...rest));
        connection!.end();
        await over;
      }),
      { seed: 20261126, numRuns: 200 },
    );
  });
});
