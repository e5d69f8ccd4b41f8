import { randomBytes } from 'node:crypto';
import { createConnection, type Socket } from 'node:net';
import fc from 'fast-check';
import type { Connection, ServerChannel } from 'ssh2';
import { describe, expect, it } from 'vitest';
import type { GuestChannel } from './channel.ts';
import { execInGuest, openCommand } from './exec.ts';
import { listFiles, readFileInGuest } from './files.ts';
import { connectSsh, GUEST_LOGIN } from './ssh.ts';
import { frame, hostileGuest, idOf, protocolOf, SFTP_VERSION, sendRaw, string, uint32 } from './testing/hostile-guest.ts';

const STDERR = 1;

describe('a hostile guest', { timeout: 30_000 }, () => {
  const rig = hostileGuest();
  const { connectTo, withServer } = rig;

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
    return withServer((connection) =>
      connection.on('session', (accept) => accept().on('subsystem', (acceptSubsystem) => answer(acceptSubsystem()))),
    );
  }

  it.each([
    ['noise', [randomBytes(200)]],
    ['a huge length', [Buffer.alloc(8, 0xff)]],
    ['an old version', [frame(2, uint32(1))]],
    ['noise after the version', [SFTP_VERSION, randomBytes(200)]],
    ['an empty frame', [SFTP_VERSION, Buffer.alloc(4)]],
    ['a reply to no request', [SFTP_VERSION, frame(101, uint32(77), uint32(0))]],
    ['a status without text', [SFTP_VERSION, frame(101, uint32(0), uint32(2))]],
    ['attributes cut short', [SFTP_VERSION, frame(105, uint32(0), uint32(0xffffffff))]],
    ['a name list that claims millions', [SFTP_VERSION, frame(104, uint32(0), uint32(0xffffffff))]],
    ['the end', []],
  ])('whose SFTP server sends %s gets an error, not a crash', async (_name, replies) => {
    const channel = await withSftpReplies(replies);
    const client = await channel.client(20_000);
    await expect(listFiles({ client, path: '/', deadlineMs: 300 })).rejects.toMatchObject({ name: 'HostdError' });
    await expect(readFileInGuest({ client, path: '/x', deadlineMs: 300 })).rejects.toMatchObject({ name: 'HostdError' });
  });

  const DIRECTORY = Buffer.concat([uint32(4), uint32(0o40755)]);

  /** Answers the requests of one directory listing as a server does: version, attributes, handle, one batch of names, the end. */
  const listing = (names: readonly string[]) => [
    SFTP_VERSION,
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
        replies = [SFTP_VERSION, ...made];
        const client = await connectSsh(createConnection(rig.socketPath), { login: GUEST_LOGIN, deadlineMs: 20_000 });
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
          const id = idOf(acceptExec());
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
          const id = idOf(acceptExec());
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
        const client = await connectSsh(createConnection(rig.socketPath), { login: GUEST_LOGIN, deadlineMs: 20_000 });
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
