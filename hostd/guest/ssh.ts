import type { Duplex } from 'node:stream';
import { Client } from 'ssh2';
import { HostdError } from '../errors.ts';
import { beWary } from './wary-ssh.ts';

/** Without a key the method is `none`. */
export type SshLogin = { username: string; privateKey?: Buffer };

/**
 * `none` as root. The port is the credential: inside, only root can open it; outside, only hostd can reach the socket (its
 * directory is 0700). A key or password would guard nothing more, and would cost a round trip and a signature in an emulated
 * guest at every wake.
 */
export const GUEST_LOGIN: SshLogin = { username: 'root' };

/**
 * Bytes that keep a connection moving, not a test whether it lives. Once, on an idle host, a request into an emulated guest lay for
 * three minutes and was answered the moment the next one was sent. A guest may be busy, or stand still, for long: it is given up
 * after ten minutes.
 */
const KEEPALIVE_MS = 10_000;
const KEEPALIVES_UNANSWERED_MAX = 60;

/**
 * The SSH handshake over an open stream. Rejects with `guest_unreachable`; the stream is destroyed then.
 * The returned client may emit `error` at any time; a listener is attached so that it cannot end the process.
 */
export function connectSsh(sock: Duplex, { login, deadlineMs }: { login: SshLogin; deadlineMs: number }): Promise<Client> {
  return new Promise((resolve, reject) => {
    const client = new Client();
    const fail = (cause: unknown) => {
      sock.destroy();
      const message = `the SSH handshake with the guest failed: ${cause instanceof Error ? cause.message : String(cause)}`;
      reject(new HostdError('guest_unreachable', { message, phase: 'guest.ssh', cause }));
    };
    // Every command in flight listens for the end of the connection.
    client.setMaxListeners(0);
    client.on('error', fail);
    client.once('close', () => fail('the connection closed'));
    client.once('ready', () => resolve(client));
    try {
      client.connect({
        ...login,
        authHandler: [login.privateKey ? 'publickey' : 'none'],
        sock,
        readyTimeout: deadlineMs,
        keepaliveInterval: KEEPALIVE_MS,
        keepaliveCountMax: KEEPALIVES_UNANSWERED_MAX,
        // The socket names the machine, and whoever is root in it owns the host key anyway: there is nothing to compare with.
        hostVerifier: () => true,
        // The cheapest under emulation; one entry each, so that both sides guess the key exchange right and save a round trip.
        algorithms: {
          kex: ['curve25519-sha256'],
          cipher: ['chacha20-poly1305@openssh.com'],
          serverHostKey: ['ssh-ed25519'],
          compress: ['none'],
        },
      });
      beWary(client);
    } catch (cause) {
      fail(cause);
    }
  });
}
