import type { Duplex } from 'node:stream';
import tls, { TLSSocket } from 'node:tls';
import { type CanonicalHost, parseHost } from '../contract/canonical-host.ts';
import type { CertificateAuthority } from './authority.ts';

/** The first bytes, and then the handshake of an emulated guest. */
const HANDSHAKE_MS_MAX = 60_000;
const TLS_HANDSHAKE_RECORD = 0x16;

export type OpenedTunnel =
  | { ok: true; stream: Duplex; secure: boolean }
  | { ok: false; reason: 'sni' | 'tls' | 'idle'; message: string };

/**
 * Looks into a tunnel that a client opened to `host`: ends its TLS as that host, or hands it on as it is where the client speaks plain
 * HTTP. The name in the client's TLS must be the tunnel's: what it asked for is what it gets. Never rejects; the stream is
 * destroyed when it fails.
 */
export async function openTls(
  stream: Duplex,
  host: CanonicalHost,
  authority: Pick<CertificateAuthority, 'contextFor'>,
): Promise<OpenedTunnel> {
  const first = await firstByte(stream);
  if (first === null) {
    stream.destroy();
    return { ok: false, reason: 'idle', message: 'nothing came through the tunnel' };
  }
  if (first !== TLS_HANDSHAKE_RECORD) return { ok: true, stream, secure: false };
  let wrongName: string | null = null;
  const socket = new TLSSocket(stream, {
    isServer: true,
    // Whoever speaks only HTTP/2 is told so in the handshake.
    ALPNProtocols: ['http/1.1'],
    SNICallback: (asked, done) => {
      const named = parseHost(asked);
      if (named?.kind === 'name' && named.name === host) return done(null, authority.contextFor(host));
      wrongName = asked;
      done(new Error('the name in TLS is not the tunnel’s'));
    },
    // Only for clients without a name in their handshake, which get no further than here.
    secureContext: tls.createSecureContext(),
  });
  const problem = await handshake(socket, stream);
  if (problem === null && socket.servername) return { ok: true, stream: socket, secure: true };
  socket.destroy();
  stream.destroy();
  if (wrongName !== null) return { ok: false, reason: 'sni', message: `TLS asked for ${wrongName}` };
  if (problem === null || /no shared cipher|no suitable signature algorithm/i.test(problem))
    return { ok: false, reason: 'sni', message: 'TLS named no host' };
  return { ok: false, reason: 'tls', message: problem };
}

/** Null when nothing comes in time, or the stream ends. The byte stays in the stream. */
function firstByte(stream: Duplex): Promise<number | null> {
  return new Promise((resolve) => {
    const settle = (value: number | null) => {
      clearTimeout(timer);
      stream.off('readable', look);
      stream.off('end', end);
      stream.off('close', end);
      resolve(value);
    };
    const look = () => {
      const chunk = stream.read() as Buffer | null;
      if (chunk === null || chunk.length === 0) return;
      stream.unshift(chunk);
      settle(chunk[0] ?? null);
    };
    const end = () => settle(null);
    const timer = setTimeout(end, HANDSHAKE_MS_MAX);
    stream.on('readable', look);
    stream.once('end', end);
    stream.once('close', end);
    look();
  });
}

/** Null when it succeeded. */
function handshake(socket: TLSSocket, stream: Duplex): Promise<string | null> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve('the handshake took too long'), HANDSHAKE_MS_MAX);
    const settle = (problem: string | null) => {
      clearTimeout(timer);
      resolve(problem);
    };
    socket.once('secure', () => settle(null));
    socket.on('error', (error: Error) => settle(error.message));
    // What a server-side socket that belongs to no server reports a failed handshake with.
    socket.on('_tlsError', (error: Error) => settle(error.message));
    // The socket above does not hear of the end of the stream below it.
    if (stream.destroyed) return settle('the machine hung up during the handshake');
    for (const end of [socket, stream]) end.once('close', () => settle('the machine hung up during the handshake'));
  });
}
