import type { Client } from 'ssh2';
import { UNSENT_BYTES_MAX } from './port.ts';

/** Every SSH server offers at least 32 KiB; ssh2 cuts what it sends into pieces of the size that the server names. */
const PACKET_BYTES_MIN = 1024;
/** sshd offers 2 MiB. What a server lets us send and does not take in is held in our memory. */
const WINDOW_BYTES_MAX = 8 * 1024 * 1024;
/** sshd tells of them once, after signing in. */
const HOST_KEYS = 'hostkeys-00@openssh.com';
const HOST_KEYS_TOLD_MAX = 3;

type Handler = (protocol: unknown, ...args: unknown[]) => void;
type Window = { window: number; packetSize: number };
type Channel = {
  incoming: Window & { state: string };
  outgoing: Window;
  stderr: { on(event: 'error', heard: () => void): void };
};
type Internals = {
  _protocol: {
    _handlers: Record<string, Handler | undefined>;
    /** What waits for the end of a key exchange. */
    _queue: readonly unknown[] | undefined;
    channelData: (channel: number, data: Buffer | string) => void;
  };
  _chanMgr: { get(id: unknown): unknown; update(id: unknown, channel: unknown): void };
};

/**
 * ssh2's client takes the server's word in places where a hostile guest could stop hostd for every machine: packets of no size make
 * it loop for ever, data beyond the window is kept without end, and so is data that a huge window invites; data behind the end of
 * a channel is an error of a stream that nobody listens to, which ends the process; each announcement of host keys is read, kept
 * and asked about until the guest answers; and what is sent during an exchange of keys waits for its end without bound. Here those
 * end the connection. They are seen in ssh2's own parts, because its public interface shows them too late.
 *
 * An exchange of keys has no deadline of its own: a guest may stand still for long, and then it costs no more than any other guest
 * that reads nothing, for as long (see `connectSsh`).
 *
 * @throws when this release of ssh2 is built in another way: hostd must not run on one that is not watched
 */
export function beWary(client: Client): void {
  const { _protocol: protocol, _chanMgr: channels } = client as unknown as Internals;
  if (typeof protocol?.channelData !== 'function') throw new Error('this ssh2 sends data elsewhere');
  if (typeof channels?.get !== 'function' || typeof channels.update !== 'function')
    throw new Error('this ssh2 keeps its channels elsewhere');
  const before = (message: string, check: (args: unknown[]) => void) => {
    const handler = protocol?._handlers?.[message];
    if (!handler) throw new Error(`this ssh2 has no handler for ${message}`);
    protocol._handlers[message] = (self, ...args) => {
      check(args);
      handler(self, ...args);
    };
  };
  const asChannel = (found: unknown) =>
    typeof found === 'object' && found !== null && 'incoming' in found ? (found as Channel) : null;
  const channelOf = (id: unknown) => asChannel(channels.get(id));

  // Every channel passes here before anything is said on it. Not all of them have somebody who reads the error output.
  const update = channels.update.bind(channels);
  channels.update = (id, channel) => {
    asChannel(channel)?.stderr.on('error', () => {});
    update(id, channel);
  };

  // ssh2 turns what is thrown here into an error of the connection.
  const requireSizes = ([info]: unknown[]) => {
    const { window, packetSize } = info as Window;
    if (packetSize < PACKET_BYTES_MIN) throw new Error(`the guest wants packets of ${packetSize} bytes`);
    if (window > WINDOW_BYTES_MAX) throw new Error(`the guest offers a window of ${window} bytes`);
  };
  const requireWindow = ([id, data]: unknown[]) => {
    const incoming = channelOf(id)?.incoming;
    if (!incoming) return;
    if (incoming.state !== 'open') throw new Error('the guest sends behind the end of a channel');
    if (Buffer.isBuffer(data) && data.length > incoming.window) throw new Error('the guest sends more than it was asked for');
  };
  before('CHANNEL_OPEN', requireSizes);
  before('CHANNEL_OPEN_CONFIRMATION', requireSizes);
  before('CHANNEL_DATA', requireWindow);
  before('CHANNEL_EXTENDED_DATA', requireWindow);
  before('CHANNEL_WINDOW_ADJUST', ([id, amount]) => {
    const channel = channelOf(id);
    if (channel && channel.outgoing.window + Number(amount) > WINDOW_BYTES_MAX)
      throw new Error('the guest opens its window without end');
  });

  let told = 0;
  before('GLOBAL_REQUEST', (args) => {
    if (args[0] !== HOST_KEYS) return;
    told += 1;
    // Reading one costs this thread time, too.
    if (told > HOST_KEYS_TOLD_MAX) throw new Error('the guest announces its host keys without end');
    // As a request that nobody knows.
    args[0] = '';
  });

  let held = 0;
  const send = protocol.channelData.bind(protocol);
  protocol.channelData = (channel, data) => {
    send(channel, data);
    held = protocol._queue ? held + data.length : 0;
    // As ssh2 itself says what has broken a connection.
    if (held > UNSENT_BYTES_MAX) client.emit('error', new Error(`the guest let ${held} bytes wait for an exchange of keys`));
  };
}
