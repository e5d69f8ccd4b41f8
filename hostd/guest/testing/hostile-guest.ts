import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pino from 'pino';
import ssh2, { type Connection } from 'ssh2';
import { afterEach, beforeEach } from 'vitest';
import { newHostKey } from '../../machines/host-key.ts';
import { type ChannelOptions, GuestChannel } from '../channel.ts';

const HOST_KEY = newHostKey();

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}
/** A string of SSH and SFTP. */
export const string = (text: string | Buffer) => Buffer.concat([uint32(Buffer.byteLength(text)), Buffer.from(text)]);

/** A frame of SFTP: length, type, and what follows. */
export function frame(type: number, ...parts: Buffer[]): Buffer {
  return string(Buffer.concat([Buffer.from([type]), ...parts]));
}
export const SFTP_VERSION = frame(2, uint32(3));

/** The parts of ssh2's server that send what its public methods would not. */
type ServerProtocol = {
  channelOpenConfirm(remote: number, local: number, window: number, packetSize: number): void;
  channelWindowAdjust(channel: number, bytes: number): void;
  channelData(channel: number, data: Buffer): void;
  channelExtData(channel: number, data: Buffer, type: number): void;
  /** Only KEXINIT; the other side's answer is read. */
  rekey(): void;
  /** Reads what the other side sends. */
  parse: (chunk: Buffer, from: number, length: number) => void;
  _handlers: Record<string, (protocol: unknown, ...args: unknown[]) => void>;
  _packetRW: { write: { allocStart: number; alloc(bytes: number): Buffer; finalize(packet: Buffer): Buffer } };
  _cipher: { encrypt(packet: Buffer): void };
};
export const protocolOf = (connection: Connection) => (connection as unknown as { _protocol: ServerProtocol })._protocol;

/** An SSH message as it is, whatever it says. */
export function sendRaw(connection: Connection, message: Uint8Array): void {
  const { _packetRW: packets, _cipher: cipher } = protocolOf(connection);
  const packet = packets.write.alloc(message.length);
  packet.set(message, packets.write.allocStart);
  cipher.encrypt(packets.write.finalize(packet));
}

/** The number under which the other side knows a channel of this server. */
export const idOf = (channel: unknown) => (channel as { outgoing: { id: number } }).outgoing.id;

/** A guest of its own for each test, that says what the test makes it say, and hostd's channels to it. */
export function hostileGuest() {
  let dir = '';
  let server: Server | null = null;
  const sockets = new Set<Socket>();
  const channels: GuestChannel[] = [];
  const rig = {
    get socketPath(): string {
      return path.join(dir, 'port');
    },

    /** Serves the port of the machine. */
    listen(serve: (socket: Socket) => void): Promise<void> {
      server = createServer((socket) => {
        sockets.add(socket);
        socket.on('error', () => {});
        serve(socket);
      });
      return new Promise((resolve) => server?.listen(rig.socketPath, resolve));
    },

    /** Serves SSH that is in order, apart from what `spoil` does with a new connection. */
    listenSsh(spoil: (connection: Connection) => void): Promise<void> {
      const ssh = new ssh2.Server({ hostKeys: [HOST_KEY], ident: 'OpenSSH_9.2p1' }, (connection) => {
        connection.on('error', () => {});
        connection.on('authentication', (auth) => auth.accept());
        connection.on('request', (accept) => accept?.());
        spoil(connection);
      });
      return rig.listen((socket) => ssh.injectSocket(socket));
    },

    /** A started channel, closed with the test. */
    async open(onProxyConnection: ChannelOptions['onProxyConnection'] = (stream) => stream.end()): Promise<GuestChannel> {
      const channel = new GuestChannel({
        machineId: 'mch_00000000000000000001',
        socketPath: rig.socketPath,
        carried: null,
        origin: 'image',
        onProxyConnection,
        log: pino({ level: 'silent' }),
      });
      channels.push(channel);
      await channel.start();
      return channel;
    },

    async connectTo(serve: (socket: Socket) => void): Promise<GuestChannel> {
      await rig.listen(serve);
      return rig.open();
    },
    async withServer(spoil: (connection: Connection) => void): Promise<GuestChannel> {
      await rig.listenSsh(spoil);
      return rig.open();
    },
  };

  beforeEach(async () => {
    dir = await mkdtemp(path.join(tmpdir(), 'warren-hostile-'));
  });
  afterEach(async () => {
    for (const channel of channels.splice(0)) channel.close();
    for (const socket of sockets) socket.destroy();
    server?.close();
    await rm(dir, { recursive: true, force: true });
  });
  return rig;
}
