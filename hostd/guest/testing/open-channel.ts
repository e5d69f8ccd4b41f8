import pino from 'pino';
import type { ClientChannel } from 'ssh2';
import type { GuestMachine } from '../../machines/guest-port.ts';
import { GuestChannel } from '../channel.ts';
import type { SshdFixture } from './sshd-fixture.ts';

export type OpenChannelOptions = {
  carried?: string | null;
  origin?: GuestMachine['origin'];
  onProxyConnection?: (stream: ClientChannel) => void;
  proxyPort?: number;
};

/** A started channel to the fixture. The caller closes it. */
export async function openChannel(sshd: SshdFixture, options: OpenChannelOptions = {}): Promise<GuestChannel> {
  const channel = new GuestChannel({
    machineId: 'mch_00000000000000000001',
    socketPath: sshd.socketPath,
    carried: options.carried ?? null,
    origin: options.origin ?? 'image',
    onProxyConnection: options.onProxyConnection ?? ((stream) => stream.end()),
    log: pino({ level: 'silent' }),
    login: sshd.login,
    proxyPort: options.proxyPort ?? 0,
  });
  await channel.start();
  return channel;
}
