import fc from 'fast-check';
import ssh2, { type Connection } from 'ssh2';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { egressPolicySchema } from '../contract/egress.ts';
import { createDial } from '../egress/dial.ts';
import { EgressProxy } from '../egress/proxy.ts';
import { systemTrust } from '../egress/secure.ts';
import { memoryJournal } from '../egress/testing/memory-journal.ts';
import { PROXY_PORT } from './channel.ts';
import { openDesktop } from './desktop.ts';
import { openCommand } from './exec.ts';
import { openTerminal } from './pty.ts';
import { withSftp } from './sftp.ts';
import { frame, hostileGuest, idOf, protocolOf, SFTP_VERSION, sendRaw, string, uint32 } from './testing/hostile-guest.ts';

const MESSAGE = {
  globalRequest: 80,
  requestSuccess: 81,
  requestFailure: 82,
  openConfirmation: 91,
  openFailure: 92,
  windowAdjust: 93,
  data: 94,
  extendedData: 95,
  eof: 96,
  close: 97,
  request: 98,
  success: 99,
  failure: 100,
} as const;
const STDERR = uint32(1);
const TERMINAL = { name: 'main', user: 'root', cwd: '/', cols: 80, rows: 24 } as const;

const toChannel = (connection: Connection, type: number, id: number, ...rest: Buffer[]) =>
  sendRaw(connection, Buffer.concat([Buffer.from([type]), uint32(id), ...rest]));

/** A program of the guest that connects to its proxy address, as far as hostd can tell. */
const connectToProxy = (connection: Connection) =>
  new Promise<number | null>((resolve) =>
    connection.forwardOut('127.0.0.1', PROXY_PORT, '127.0.0.1', 40_000, (error, channel) =>
      resolve(error ? null : idOf(channel)),
    ),
  );

/** What a guest says, and on which of its channels if on any. */
type Message = { type: number; which: number | null; rest: Buffer };

function say(connection: Connection, messages: readonly Message[], idOfWhich: (which: number) => number): void {
  for (const { type, which, rest } of messages) {
    const id = which === null ? [] : [uint32(idOfWhich(which))];
    sendRaw(connection, Buffer.concat([Buffer.from([type]), ...id, rest]));
  }
}

const NO = Buffer.from([0]);
const YES = Buffer.from([1]);
const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 60 }).map((made) => Buffer.from(made)),
  fc.constantFrom(
    Buffer.from('GET http://x.test/ HTTP/1.1\r\nhost: x.test\r\n\r\n'),
    Buffer.from('CONNECT x.test:443 HTTP/1.1\r\n\r\n'),
    SFTP_VERSION,
    frame(101, uint32(0), uint32(4)),
    Buffer.alloc(32_768, 'x'),
  ),
);
const onChannel = fc.oneof(
  fc.constantFrom(MESSAGE.eof, MESSAGE.eof, MESSAGE.close, MESSAGE.success, MESSAGE.failure).map((type) => ({ type, rest: [] })),
  bytes.map((made) => ({ type: MESSAGE.data, rest: [string(made)] })),
  bytes.map((made) => ({ type: MESSAGE.extendedData, rest: [STDERR, string(made)] })),
  fc.nat(2 ** 21).map((amount) => ({ type: MESSAGE.windowAdjust, rest: [uint32(amount)] })),
  fc.nat(255).map((code) => ({ type: MESSAGE.request, rest: [string('exit-status'), NO, uint32(code)] })),
  fc.constant({ type: MESSAGE.request, rest: [string('exit-signal'), NO, string('TERM'), NO, string(''), string('')] }),
  fc.constant({ type: MESSAGE.request, rest: [string('keepalive@openssh.com'), YES] }),
  fc.constant({ type: MESSAGE.openConfirmation, rest: [uint32(9), uint32(2 ** 20), uint32(32_768)] }),
  fc.constant({ type: MESSAGE.openFailure, rest: [uint32(1), string('no'), string('')] }),
);
/** Several in a row on one channel: what is wrong is the order. */
const onOneChannel = fc
  .tuple(fc.nat(7), fc.array(onChannel, { minLength: 1, maxLength: 4 }))
  .map(([which, made]) => made.map(({ type, rest }): Message => ({ type, which, rest: Buffer.concat(rest) })));
const anywhere = fc
  .oneof(
    fc.constant({ type: MESSAGE.globalRequest, rest: Buffer.concat([string('keepalive@openssh.com'), YES]) }),
    bytes.map((rest) => ({ type: MESSAGE.requestSuccess, rest })),
    fc.constant({ type: MESSAGE.requestFailure, rest: Buffer.alloc(0) }),
    // Whatever it is; long enough for a type and a number.
    fc
      .tuple(fc.integer({ min: 80, max: 100 }), fc.uint8Array({ maxLength: 60 }))
      .map(([type, rest]) => ({ type, rest: Buffer.from(rest) })),
  )
  .map(({ type, rest }): Message[] => [{ type, which: null, rest }]);
const talk = fc
  .array(fc.oneof({ arbitrary: onOneChannel, weight: 3 }, { arbitrary: anywhere, weight: 1 }), { maxLength: 4 })
  .map((said) => said.flat());

describe('the channels of a hostile guest', { timeout: 60_000 }, () => {
  const rig = hostileGuest();
  let proxy: EgressProxy;
  const uncaught: unknown[] = [];
  const note = (error: unknown) => uncaught.push(error);

  beforeEach(() => {
    uncaught.splice(0);
    process.on('uncaughtException', note);
    const authority = { contextFor: () => systemTrust() };
    proxy = new EgressProxy({ dial: createDial(), own: [], log: memoryJournal(), authority, trust: systemTrust() });
    proxy.setPolicy(egressPolicySchema.parse({ services: [], allow: [] }));
  });
  afterEach(() => {
    process.off('uncaughtException', note);
    proxy.close();
  });

  /** What a stream throws at nobody comes in a later turn. */
  const laterTurn = () => new Promise<void>((resolve) => setImmediate(resolve));

  it('lose the connection, not hostd, by error output behind the end of a proxy connection', async () => {
    await rig.listenSsh((connection) => {
      connection.once('request', async () => {
        const id = await connectToProxy(connection);
        toChannel(connection, MESSAGE.eof, id!);
        toChannel(connection, MESSAGE.extendedData, id!, STDERR, string('x'));
      });
    });
    const channel = await rig.open((stream) => proxy.accept(stream));
    const client = await channel.client(20_000);
    await new Promise<void>((resolve) => client.once('close', () => resolve()));
    await laterTurn();
    expect(uncaught).toEqual([]);
  });

  it('lose the connection, not hostd, by error output behind the end of a command that has not begun', async () => {
    const channel = await rig.withServer((connection) => {
      const protocol = protocolOf(connection);
      const confirm = protocol.channelOpenConfirm.bind(protocol);
      protocol.channelOpenConfirm = (remote, ...rest) => {
        confirm(remote, ...rest);
        toChannel(connection, MESSAGE.eof, remote);
        toChannel(connection, MESSAGE.extendedData, remote, STDERR, string('x'));
      };
      connection.on('session', (accept) => void accept());
    });
    const client = await channel.client(20_000);
    await expect(openCommand(client, 'x')).rejects.toMatchObject({ code: 'guest_unreachable' });
    await laterTurn();
    expect(uncaught).toEqual([]);
  });

  it('announce host keys that hostd does not ask about, and not for ever', async () => {
    const asked: unknown[] = [];
    let connection: Connection | null = null;
    const channel = await rig.withServer((made) => {
      connection = made;
      const { _handlers: handlers } = protocolOf(made);
      const answer = handlers.GLOBAL_REQUEST!;
      handlers.GLOBAL_REQUEST = (self, name, ...rest) => {
        asked.push(name);
        answer(self, name, ...rest);
      };
    });
    const client = await channel.client(20_000);
    const { public: key } = ssh2.utils.generateKeyPairSync('ecdsa', { bits: 256 });
    const announcement = Buffer.from(key.split(' ')[1]!, 'base64');
    const announce = () =>
      sendRaw(
        connection!,
        Buffer.concat([Buffer.from([MESSAGE.globalRequest]), string('hostkeys-00@openssh.com'), NO, string(announcement)]),
      );
    announce();
    // The answer to a request of ours comes after what was said before.
    await expect(openCommand(client, 'x')).rejects.toMatchObject({ code: 'guest_unreachable' });
    expect(asked).toEqual(['tcpip-forward']);
    const lost = new Promise<void>((resolve) => client.once('close', () => resolve()));
    for (let round = 0; round < 10; round += 1) announce();
    await lost;
  });

  it('lose the connection when too much waits for an exchange of keys', async () => {
    let connection: Connection | null = null;
    const channel = await rig.withServer((made) => {
      connection = made;
      const protocol = protocolOf(made);
      const confirm = protocol.channelOpenConfirm.bind(protocol);
      protocol.channelOpenConfirm = (remote, local) => confirm(remote, local, 2 ** 23, 32_768);
      made.on('session', (accept) => accept().on('exec', (acceptExec) => acceptExec()));
    });
    const client = await channel.client(20_000);
    let isLost = false;
    client.once('close', () => {
      isLost = true;
    });
    const commands = await Promise.all(Array.from({ length: 9 }, () => openCommand(client, 'cat')));
    protocolOf(connection!).rekey();
    protocolOf(connection!).parse = () => {};
    const { _protocol: ours } = client as unknown as { _protocol: { _kexinit: unknown } };
    await vi.waitFor(() => expect(ours._kexinit).toBeDefined());
    for (const command of commands.slice(0, 7)) command.write(Buffer.alloc(2 ** 23));
    await laterTurn();
    expect(isLost).toBe(false);
    for (const command of commands.slice(7)) command.write(Buffer.alloc(2 ** 23));
    await laterTurn();
    expect(isLost).toBe(true);
  });

  /** A guest whose server is in order and says `early` on each channel before it opens it, and `between` before it answers. */
  function talkative(connection: Connection, early: readonly Message[], between: readonly Message[]): void {
    const protocol = protocolOf(connection);
    const confirm = protocol.channelOpenConfirm.bind(protocol);
    protocol.channelOpenConfirm = (remote, ...rest) => {
      say(connection, early, () => remote);
      confirm(remote, ...rest);
      say(connection, between, () => remote);
    };
    connection.on('session', (accept) => {
      const session = accept();
      session.on('pty', (acceptPty) => acceptPty?.());
      session.on('exec', (acceptExec) => acceptExec?.());
      session.on('subsystem', (acceptSubsystem) => {
        const channel = acceptSubsystem();
        channel.on('data', () => channel.write(SFTP_VERSION));
      });
    });
    connection.on('openssh.streamlocal' as 'session', (accept) => void accept());
  }

  it('say what they want, in any order, before they are open and after, and end at most their own connection', async () => {
    let connection: Connection | null = null;
    let heard: { early: readonly Message[]; between: readonly Message[] } = { early: [], between: [] };
    await rig.listenSsh((made) => {
      connection = made;
      talkative(made, heard.early, heard.between);
    });
    await fc.assert(
      fc.asyncProperty(talk, talk, talk, async (early, between, late) => {
        uncaught.splice(0);
        heard = { early, between };
        const channel = await rig.open((stream) => proxy.accept(stream));
        const client = await channel.client(20_000);
        const over = new Promise<void>((resolve) => client.once('close', () => resolve()));
        const opened = Promise.allSettled([
          openCommand(client, 'x'),
          openTerminal(client, TERMINAL),
          openDesktop(client),
          withSftp({ client, path: '/', deadlineMs: 20 }, async () => {}),
        ]);
        // What ssh2 calls channels 0 to 3. There and back again three times: they are open now, as far as they will be.
        for (let round = 0; round < 3; round += 1) await Promise.race([connectToProxy(connection!), over]);
        say(connection!, late, (which) => which);
        connection!.end();
        await over;
        await opened;
        channel.close();
        await laterTurn();
        expect(uncaught).toEqual([]);
      }),
      { seed: 20261126, numRuns: 200 },
    );
  });
});
