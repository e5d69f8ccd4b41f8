import type { Socket } from 'node:net';
import tls, { type SecureContext, type TLSSocket } from 'node:tls';
import type { CanonicalHost } from '../contract/canonical-host.ts';

const HANDSHAKE_MS_MAX = 15_000;

export type Secured = { ok: true; socket: TLSSocket } | { ok: false; reason: 'untrusted' | 'upstream_error'; message: string };

/** What this computer trusts: its distribution's authorities, those added to it, and Node's own list. */
export function systemTrust(): SecureContext {
  return tls.createSecureContext({ ca: [...tls.getCACertificates('default'), ...tls.getCACertificates('system')] });
}

/**
 * TLS to a host over a connection to it. Resolves after its certificate was verified against the name, and not before: nothing
 * has been sent to it by then. Never rejects.
 */
export function secure(socket: Socket, host: CanonicalHost, trust: SecureContext): Promise<Secured> {
  return new Promise((resolve) => {
    const wrapped = tls.connect({ socket, servername: host, secureContext: trust, ALPNProtocols: ['http/1.1'] });
    const timer = setTimeout(() => wrapped.destroy(new Error('the TLS handshake took too long')), HANDSHAKE_MS_MAX);
    const fail = (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      wrapped.destroy();
      socket.destroy();
      // OpenSSL's words about certificates and Node's about names; all others are about the connection.
      const isAboutTrust = wrapped.authorizationError !== undefined && wrapped.authorizationError !== null;
      resolve({ ok: false, reason: isAboutTrust ? 'untrusted' : 'upstream_error', message: `${host}: ${error.message}` });
    };
    const hungUp = () => fail(new Error('it hung up during the TLS handshake'));
    wrapped.once('error', fail);
    wrapped.once('close', hungUp);
    wrapped.once('secureConnect', () => {
      clearTimeout(timer);
      wrapped.off('close', hungUp);
      wrapped.off('error', fail);
      // Whoever takes the socket adds a listener of its own; until then an error must not end the process.
      wrapped.on('error', () => {});
      resolve({ ok: true, socket: wrapped });
    });
  });
}
