import type { Client, ClientChannel } from 'ssh2';
import { GUEST } from '../contract/machines.ts';
import { HostdError } from '../errors.ts';

/**
 * A channel to the VNC server of the machine's desktop, which listens on a unix socket of the machine. Rejects with `conflict`
 * when nothing listens there: the image has no desktop, or it is not up yet.
 */
export function openDesktop(client: Client, socketPath: string = GUEST.desktopSocket): Promise<ClientChannel> {
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown) => {
      const message = 'no desktop answers in the machine: its image has none, or it is still starting';
      reject(new HostdError('conflict', { message, phase: 'guest.desktop', cause }));
    };
    try {
      client.openssh_forwardOutStreamLocal(socketPath, (error, channel) => {
        if (error) return fail(error);
        channel.on('error', () => channel.destroy());
        // Half of a connection is of no use to either side.
        channel.once('end', () => channel.destroy());
        resolve(channel);
      });
    } catch (error) {
      fail(error);
    }
  });
}
