import type { Server as HttpServer } from 'node:http';
import { Server, type Socket } from 'socket.io';
import { isOwnOrigin } from '../auth/origin.ts';
import { hasRole } from '../auth/roles.ts';
import { findSignedInUser, readSessionToken, type SignedInUser } from '../auth/session.ts';
import { DesktopRelay } from '../desktop/relay.ts';
import type { Services } from '../services.ts';
import { findMembership } from '../tenancy/find-membership.ts';
import { TerminalRelay } from '../terminal/relay.ts';
import { type ClientEvents, type Notice, type ServerEvents, SOCKET_PATH, subscribeSchema, type Trouble } from './contract.ts';
import { answer } from './open-machine-path.ts';

/*
 * The browser's live connection. It is let in by Origin and session cookie, subscribed per organization, and asked again
 * on a timer: who was signed out or removed loses it within RECHECK_MS.
 */
type SocketData = {
  user: SignedInUser;
  token: string;
  relay: TerminalRelay;
  desktops: DesktopRelay;
  orgSlugs: Map<string, string>;
};
type GatewayServer = Server<ClientEvents, ServerEvents, Record<string, never>, SocketData>;
type GatewaySocket = Socket<ClientEvents, ServerEvents, Record<string, never>, SocketData>;

export const RECHECK_MS = 20_000;
/** Of one message from a browser: pasted terminal input is cut into pieces by the page. */
const MESSAGE_BYTES_MAX = 256 * 1024;

export type Gateway = {
  publish: (notice: Notice) => void;
  publishTrouble: (trouble: Trouble) => void;
  /** Makes every page reconnect and read again. */
  reconnectAll: () => void;
  /** Asks every connection again whether it may still be there. Runs by itself every RECHECK_MS. */
  recheck: () => Promise<void>;
  close: () => Promise<void>;
};

const roomOf = (orgId: string) => `org:${orgId}`;

export function createGateway(services: Services, httpServer: HttpServer): Gateway {
  const io: GatewayServer = new Server(httpServer, {
    path: SOCKET_PATH,
    serveClient: false,
    // Next has upgrades of its own in development; those are not ours to cut off.
    destroyUpgrade: false,
    maxHttpBufferSize: MESSAGE_BYTES_MAX,
    // Both for the upgrade and for each polling request.
    allowRequest: (req, callback) => {
      const { origin } = req.headers;
      // Browsers leave the Origin out of same-origin GETs, and always tell what kind of site asks.
      const sameOriginGet = origin === undefined && req.headers['sec-fetch-site'] === 'same-origin';
      callback(null, sameOriginGet || isOwnOrigin(origin, services.url));
    },
  });

  io.use(async (socket, next) => {
    try {
      const token = readSessionToken(socket.handshake.headers.cookie, services.url);
      const user = await findSignedInUser(services.db, token, services.clock.now());
      if (!user || !token) return next(new Error('unauthorized'));
      const relay = new TerminalRelay(services, socket, user);
      const desktops = new DesktopRelay(services, socket, user);
      socket.data = { user, token, relay, desktops, orgSlugs: new Map() };
      next();
    } catch (err) {
      services.logger.error({ event: 'realtime.handshake_failed', err }, 'handshake failed');
      next(new Error('unavailable'));
    }
  });

  io.on('connection', (socket) => {
    socket.on('subscribe', (input, ack) => {
      subscribe(services, socket, input)
        .then((reply) => answer(ack, reply))
        .catch((err) => {
          services.logger.error({ event: 'realtime.subscribe_failed', err }, 'subscribe failed');
          answer(ack, { ok: false, code: 'unavailable', message: 'Live updates are not available. Reload the page.' });
        });
    });
    const { relay, desktops } = socket.data;
    relay.listen();
    desktops.listen();
    socket.on('disconnect', () => {
      relay.closeAll();
      desktops.closeAll();
    });
  });

  async function recheck(): Promise<void> {
    for (const socket of io.sockets.sockets.values()) {
      await recheckSocket(services, socket).catch((err) =>
        services.logger.error({ event: 'realtime.recheck_failed', err }, 'recheck failed'),
      );
    }
  }

  const timer = setInterval(recheck, RECHECK_MS);
  return {
    publish: (notice) => io.to(roomOf(notice.orgId)).emit('notice', notice),
    publishTrouble: (trouble) => io.to(roomOf(trouble.orgId)).emit('trouble', trouble),
    // Closing the transport, not the socket: the client then reconnects on its own.
    reconnectAll: () => {
      for (const socket of io.sockets.sockets.values()) socket.conn.close();
    },
    recheck,
    close: async () => {
      clearInterval(timer);
      await io.close();
    },
  };
}

async function subscribe(services: Services, socket: GatewaySocket, input: unknown) {
  const parsed = subscribeSchema.safeParse(input);
  if (!parsed.success) return { ok: false, code: 'bad_request', message: 'Give the organization’s slug.' } as const;
  const membership = await findMembership(services.db, socket.data.user.id, parsed.data.orgSlug);
  if (!membership) return { ok: false, code: 'not_found', message: 'There is no such organization.' } as const;
  socket.data.orgSlugs.set(membership.org.id, membership.org.slug);
  await socket.join(roomOf(membership.org.id));
  return { ok: true } as const;
}

async function recheckSocket({ db, clock }: Services, socket: GatewaySocket): Promise<void> {
  const { user, token, relay, desktops, orgSlugs } = socket.data;
  if (!(await findSignedInUser(db, token, clock.now()))) {
    socket.disconnect(true);
    return;
  }
  for (const [orgId, slug] of new Map([...orgSlugs, ...relay.orgSlugs(), ...desktops.orgSlugs()])) {
    const membership = await findMembership(db, user.id, slug);
    if (!membership || membership.org.id !== orgId) {
      orgSlugs.delete(orgId);
      await socket.leave(roomOf(orgId));
      desktops.closeAll(orgId);
    }
    if (!membership || !hasRole(membership.role, 'developer')) {
      relay.closeAll(orgId);
      // Who may still look opens it again, without input.
      desktops.closeControlled(orgId);
    }
  }
}
