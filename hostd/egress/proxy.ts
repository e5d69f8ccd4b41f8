import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { EgressLogEntry, EgressPolicy } from '../contract/machines.ts';
import { parseAuthority } from './canonical-host.ts';
import { type CompiledPolicy, compilePolicy, DENY_ALL, decideEgress, type EgressRequest, type Service } from './decide.ts';
import { type RefusalReason, refusal } from './denial.ts';
import type { Dial } from './dial.ts';
import { Exchange } from './exchange.ts';
import { forward } from './forward.ts';
import { endToEndHeaders } from './headers.ts';
import { EgressLog } from './log.ts';
import { toServiceUpstream } from './services.ts';
import { ESTABLISHED, tunnel } from './tunnel.ts';

const CONNECTIONS_MAX = 256;
/** Requests and tunnels in flight. One connection can ask for any number before the first answer, each a connection of ours. */
const EXCHANGES_MAX = 256;

export type EgressProxyOptions = { dial: Dial; own: readonly Service[] };

/**
 * The only way out of one machine: an HTTP proxy without a listening socket. Which machine asks is known by the stream it came
 * from, never by what it says. Denies everything until a policy is set.
 */
export class EgressProxy {
  readonly #options: EgressProxyOptions;
  readonly #server: http.Server;
  readonly #log = new EgressLog();
  readonly #streams = new Set<Duplex>();
  /** Authority of a CONNECT to a service, whose tunnel is answered right here. */
  readonly #tunnels = new WeakMap<Duplex, string>();
  #policy: CompiledPolicy = DENY_ALL;
  #exchanges = 0;
  #bytesMoved = 0;

  constructor(options: EgressProxyOptions) {
    this.#options = options;
    // A push may take as long as it needs; the first lines of a request may not.
    this.#server = http.createServer({ requestTimeout: 0, headersTimeout: 60_000, maxHeaderSize: 64 * 1024 });
    this.#server.on('request', (req, res) => void this.#onRequest(req, res));
    this.#server.on('connect', (req: IncomingMessage, socket: Duplex, head: Buffer) => void this.#onConnect(req, socket, head));
    this.#server.on('clientError', (_error, socket) => socket.destroy());
  }

  /** In force for requests that begin from now on. */
  setPolicy(policy: EgressPolicy): void {
    this.#policy = compilePolicy(policy, this.#options.own);
  }

  /** Serves one connection from the machine. */
  accept(stream: Duplex): void {
    stream.on('error', () => stream.destroy());
    if (this.#streams.size >= CONNECTIONS_MAX) {
      endWith(stream, rawResponse(refusal('too_many', 'any host', 0)));
      return;
    }
    this.#streams.add(stream);
    stream.once('close', () => this.#streams.delete(stream));
    this.#server.emit('connection', stream);
  }

  /** Requests and tunnels in flight; idle kept connections do not count. */
  get connections(): number {
    return this.#exchanges;
  }

  /** Bytes of bodies and tunnels in both directions since the machine was attached: two looks tell a download from a kept connection. */
  get bytesMoved(): number {
    return this.#bytesMoved;
  }

  log(after: number): EgressLogEntry[] {
    return this.#log.after(after);
  }

  close(): void {
    this.#policy = DENY_ALL;
    for (const stream of this.#streams) stream.destroy();
    this.#server.close();
  }

  #begin(about: { method: string; host: string; port: number; path: string | null }): Exchange {
    this.#exchanges += 1;
    return new Exchange(this.#log, about, {
      moved: (bytes) => {
        this.#bytesMoved += bytes;
      },
      ended: () => {
        this.#exchanges -= 1;
      },
    });
  }

  async #onRequest(req: IncomingMessage, res: ServerResponse): Promise<void> {
    req.on('error', () => {});
    res.on('error', () => {});
    const target = this.#targetOf(req);
    if (!target) {
      const body = 'This is the proxy of a Warren machine. Requests need an absolute http:// URL; https goes through CONNECT.\n';
      res.writeHead(400, { 'content-type': 'text/plain; charset=utf-8', connection: 'close' }).end(body);
      return;
    }
    const { host, port, shown, path } = target;
    const method = req.method ?? '';
    const exchange = this.#begin({ method, host: shown, port, path: path.pathname });
    const refuse = (reason: RefusalReason, detail?: string) => {
      const { status, body } = refusal(reason, shown, port, detail);
      res.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', connection: 'close' }).end(body);
      exchange.end(reason === 'upstream_error' ? 'allow' : 'deny', reason, status);
    };
    if (this.#exchanges > EXCHANGES_MAX) return refuse('too_many');
    const kind = req.headers.upgrade?.toLowerCase().includes('websocket') ? 'websocket' : 'http';
    const decision = decideEgress(this.#policy, { kind, method, host, port });
    if (decision.decision === 'deny') return refuse(decision.reason);
    if (decision.reason === 'service') return forward(req, res, toServiceUpstream(decision.service, req, path), exchange);
    const dialled = await this.#options.dial(decision.host, port);
    if (!dialled.ok) return refuse(dialled.reason, dialled.message);
    const { socket } = dialled;
    res.once('close', () => socket.destroy());
    if (res.destroyed) {
      socket.destroy();
      return exchange.end('allow', 'rule', null);
    }
    const headers = { ...endToEndHeaders(req.headers), host: port === 80 ? decision.host : `${decision.host}:${port}` };
    const options = { method, path: path.pathname + path.search, headers, createConnection: () => socket };
    forward(req, res, { options, secure: false, reason: 'rule', host: decision.host, port }, exchange);
  }

  /** What an absolute request line, or one inside a tunnel to a service, is for; null for what no proxy serves. */
  #targetOf(req: IncomingMessage): Target | null {
    const line = req.url ?? '';
    const tunnelHost = this.#tunnels.get(req.socket);
    if (tunnelHost) return line.startsWith('/') ? toTarget(tunnelHost, line) : null;
    // The authority is cut out by hand: what a URL parser would repair must be refused instead.
    const match = /^http:\/\/([^/?#\\]*)(.*)$/i.exec(line);
    return match?.[1] ? toTarget(match[1], match[2] ?? '') : null;
  }

  async #onConnect(req: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on('error', () => socket.destroy());
    const text = req.url ?? '';
    const authority = parseAuthority(text);
    const port = authority?.port ?? 0;
    const shown = nameOf(authority?.host ?? null) ?? text;
    const exchange = this.#begin({ method: 'CONNECT', host: shown, port, path: null });
    const refuse = (reason: RefusalReason, detail?: string) => {
      const answer = refusal(reason, shown, port, detail);
      endWith(socket, rawResponse(answer));
      exchange.end(reason === 'upstream_error' ? 'allow' : 'deny', reason, answer.status);
    };
    if (this.#exchanges > EXCHANGES_MAX) return refuse('too_many');
    const request: EgressRequest = { kind: 'connect', method: 'CONNECT', host: authority?.host ?? null, port };
    const decision = decideEgress(this.#policy, request);
    if (decision.decision === 'deny') return refuse(decision.reason);
    if (decision.reason === 'service') {
      // Some clients tunnel plain HTTP too. Its requests are decided one by one, like any other.
      socket.write(ESTABLISHED);
      this.#tunnels.set(socket, decision.service.host);
      if (head.length > 0) socket.unshift(head);
      exchange.end('allow', 'service', 200);
      this.#server.emit('connection', socket);
      return;
    }
    const dialled = await this.#options.dial(decision.host, port);
    if (!dialled.ok) return refuse(dialled.reason, dialled.message);
    tunnel(socket, head, dialled.socket, exchange);
  }
}

type Target = { host: EgressRequest['host']; port: number; shown: string; path: Pick<URL, 'pathname' | 'search'> };

function toTarget(authority: string, rest: string): Target | null {
  const parsed = parseAuthority(/:\d*$/.test(authority) ? authority.replace(/:$/, ':80') : `${authority}:80`);
  const host = parsed?.host ?? null;
  const base = `http://path.invalid${rest.startsWith('/') ? '' : '/'}${rest}`;
  if (!URL.canParse(base)) return null;
  return { host, port: parsed?.port ?? 0, shown: nameOf(host) ?? authority, path: new URL(base) };
}

function nameOf(host: EgressRequest['host']): string | null {
  if (!host) return null;
  return host.kind === 'name' ? host.name : host.address;
}

/** Says the last words and lets go, also of a peer that would keep its half open. */
function endWith(stream: Duplex, text: string): void {
  stream.end(text, () => stream.destroy());
}

function rawResponse({ status, body }: { status: number; body: string }): string {
  const head = [
    `HTTP/1.1 ${status} ${http.STATUS_CODES[status]}`,
    'content-type: text/plain; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ];
  return `${head.join('\r\n')}\r\n\r\n${body}`;
}
