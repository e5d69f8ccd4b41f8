import { connect, type Socket } from 'node:net';
import os from 'node:os';
import type { CanonicalHost } from '../contract/canonical-host.ts';
import { messageOf } from '../errors.ts';
import { isAmong, isPrivateAddress } from './private-address.ts';
import { resolveName } from './resolve.ts';

const CONNECT_DEADLINE_MS = 10_000;
const ADDRESSES_TRIED_MAX = 3;

export type Dialled = { ok: true; socket: Socket } | { ok: false; reason: 'private_address' | 'upstream_error'; message: string };
export type Dial = (host: CanonicalHost, port: number) => Promise<Dialled>;

export type DialDeps = {
  /** All addresses of a name. */
  resolve: (host: string) => Promise<string[]>;
  isForbidden: (address: string) => boolean;
};

const HOST_DEPS: DialDeps = {
  resolve: resolveName,
  // To an address of its own a host connects without passing its firewall.
  isForbidden: (address) => isPrivateAddress(address) || isAmong(ownAddresses(), address),
};

/** Asked each time: addresses come and go. */
function ownAddresses(): string[] {
  return Object.values(os.networkInterfaces()).flatMap((addresses) => addresses?.map(({ address }) => address) ?? []);
}

/**
 * Resolves a name on the host and connects to one of its public addresses. The address that was checked is the address that
 * is dialled, so that a name which changes between two look-ups gains nothing. Never rejects.
 */
export function createDial(deps: DialDeps = HOST_DEPS): Dial {
  return async (host, port) => {
    let addresses: string[];
    try {
      addresses = await deps.resolve(host);
    } catch (error) {
      return { ok: false, reason: 'upstream_error', message: `${host} does not resolve: ${messageOf(error)}` };
    }
    const allowed = addresses.filter((address) => !deps.isForbidden(address)).slice(0, ADDRESSES_TRIED_MAX);
    if (allowed.length === 0) {
      return { ok: false, reason: 'private_address', message: `${host} resolves to private addresses, or this host's own, only` };
    }
    let message = '';
    for (const address of allowed) {
      try {
        return { ok: true, socket: await connectTo(address, port) };
      } catch (error) {
        message = messageOf(error);
      }
    }
    return { ok: false, reason: 'upstream_error', message: `${host}:${port} does not answer: ${message}` };
  };
}

function connectTo(address: string, port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address, port, noDelay: true });
    const timer = setTimeout(() => socket.destroy(new Error('no answer in time')), CONNECT_DEADLINE_MS);
    socket.once('error', reject);
    socket.once('connect', () => {
      clearTimeout(timer);
      socket.off('error', reject);
      // Whoever takes the socket adds a listener of its own; until then an error must not end the process.
      socket.on('error', () => {});
      resolve(socket);
    });
    socket.once('close', () => clearTimeout(timer));
  });
}
