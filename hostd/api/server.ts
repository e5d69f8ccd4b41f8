import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { HOSTD_ERROR_STATUS, type HostdErrorBody } from '../contract/errors.ts';
import { idSchema } from '../contract/machines.ts';
import { CONTRACT_VERSION } from '../contract/version.ts';
import { HostdError, messageOf, toErrorBody } from '../errors.ts';
import type { Logger } from '../logger.ts';
import { requireToken } from './auth.ts';
import { parse } from './body.ts';
import { desktopQuerySchema, serveDesktop } from './desktop-socket.ts';
import type { GuestSession } from './guest-session.ts';
import { PTY_MESSAGE_BYTES_MAX, ptyQuerySchema, servePty } from './pty-socket.ts';
import { findRoute, type RouteDeps } from './routes.ts';

export type ApiOptions = RouteDeps & { token: string; log: Logger };

const SOCKET_PATH = /^\/v1\/machines\/([^/]+)\/(pty|desktop)$/;

/** The HTTP and websocket server of the contract (contract/machines.ts); the caller listens. One log line per request. */
export function createApi(options: ApiOptions): Server {
  const server = createServer((req, res) => void serveRequest(req, res, options));
  // Longer than any pause of a busy client: a connection that closes as a request is sent on it fails that request.
  server.keepAliveTimeout = 60_000;
  const sockets = new WebSocketServer({ noServer: true, maxPayload: PTY_MESSAGE_BYTES_MAX, perMessageDeflate: false });
  server.on('upgrade', (req: IncomingMessage, socket: Duplex, head: Buffer) => serveUpgrade(req, socket, head, sockets, options));
  server.on('clientError', (_error, socket) => socket.destroy());
  return server;
}

async function serveRequest(req: IncomingMessage, res: ServerResponse, options: ApiOptions): Promise<void> {
  const startedAt = performance.now();
  const method = req.method ?? '';
  let path = '(none)';
  let id = '';
  let code = 'ok';
  // A client that leaves is not an error of ours.
  req.on('error', () => {});
  res.on('error', () => {});
  res.setHeader('x-warren-contract', CONTRACT_VERSION);
  try {
    requireToken(req.headers.authorization, options.token);
    requireContract(req.headers['x-warren-contract']);
    const url = new URL(req.url ?? '/', 'http://hostd.invalid');
    const found = findRoute(method, url.pathname);
    if (!found) throw new HostdError('not_found', { message: `hostd has no ${method} ${url.pathname}` });
    path = found.route.path;
    id = found.id;
    const query = Object.fromEntries(url.searchParams);
    const value = await found.route.handle({ ...options, req, res, id, query });
    if (!res.headersSent) sendJson(res, 200, { ok: true, value });
  } catch (error) {
    const body = toErrorBody(error);
    code = body.code;
    if (code === 'internal') options.log.error({ event: 'api.failed', method, path, id, err: error }, 'request failed');
    refuse(req, res, body);
  }
  const durationMs = Math.round(performance.now() - startedAt);
  options.log.info({ event: 'api.request', method, path, id, code, status: res.statusCode, durationMs }, 'request');
}

function requireContract(version: string | string[] | undefined): void {
  if (version === undefined || version === String(CONTRACT_VERSION)) return;
  throw new HostdError('bad_request', {
    message: `hostd speaks contract ${CONTRACT_VERSION}, the request ${String(version)}: run the same release on both sides`,
  });
}

function refuse(req: IncomingMessage, res: ServerResponse, error: HostdErrorBody): void {
  if (res.headersSent) {
    // The rest of a stream that failed must not look like its end.
    res.destroy();
    return;
  }
  // What was not read of the body would be taken for the next request.
  if (!req.complete) res.setHeader('connection', 'close');
  sendJson(res, HOSTD_ERROR_STATUS[error.code], { ok: false, error });
}

function sendJson(res: ServerResponse, status: number, body: unknown): void {
  res.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' }).end(JSON.stringify(body));
}

type Join = { name: string; serve: (ws: WebSocket, session: GuestSession) => Promise<void> };

/** What a websocket is to be joined to, and the name under which its input counts as activity. */
function joinOf(kind: 'pty' | 'desktop', query: Record<string, string>): Join {
  if (kind === 'desktop') {
    const request = parse(desktopQuerySchema, query);
    return { name: 'desktop', serve: (ws, session) => serveDesktop(ws, session, request) };
  }
  const request = parse(ptyQuerySchema, query);
  return { name: request.name, serve: (ws, session) => servePty(ws, session, request) };
}

function serveUpgrade(req: IncomingMessage, socket: Duplex, head: Buffer, sockets: WebSocketServer, options: ApiOptions): void {
  socket.on('error', () => socket.destroy());
  const { log, guests } = options;
  try {
    requireToken(req.headers.authorization, options.token);
    requireContract(req.headers['x-warren-contract']);
    const url = new URL(req.url ?? '/', 'http://hostd.invalid');
    const match = SOCKET_PATH.exec(url.pathname);
    if (!match) throw new HostdError('not_found', { message: `hostd has no websocket at ${url.pathname}` });
    const id = parse(idSchema, match[1]);
    const { name, serve } = joinOf(match[2] as 'pty' | 'desktop', Object.fromEntries(url.searchParams));
    const session = guests.terminal(id, name);
    sockets.handleUpgrade(req, socket, head, (ws) => {
      const startedAt = performance.now();
      ws.on('error', () => ws.terminate());
      ws.once('close', () => {
        session.close();
        const durationMs = Math.round(performance.now() - startedAt);
        log.info({ event: 'api.socket', id, name, durationMs }, 'a websocket into a machine closed');
      });
      serve(ws, session).catch((error) => {
        ws.resume();
        ws.close(1011, messageOf(error).slice(0, 100));
      });
    });
  } catch (error) {
    const body = toErrorBody(error);
    const json = JSON.stringify({ ok: false, error: body });
    const head = `HTTP/1.1 ${HOSTD_ERROR_STATUS[body.code]} Refused\r\ncontent-type: application/json\r\nconnection: close\r\n`;
    socket.end(`${head}content-length: ${Buffer.byteLength(json)}\r\n\r\n${json}`);
    log.info({ event: 'api.socket_refused', code: body.code }, 'a websocket into a machine was refused');
  }
}
