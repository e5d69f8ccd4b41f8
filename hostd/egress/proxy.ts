import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { parseAuthority } from '../contract/canonical-host.ts';
import { EGRESS_LIMITS, type EgressLogEntry, type EgressPolicy } from '../contract/egress.ts';
import { type CompiledPolicy, compilePolicy, DENY_ALL, type Decision, decideEgress, type Service, secretsFor } from './decide.ts';
import { answer, endWith, type RefusalReason, refusal } from './denial.ts';
import type { Dial } from './dial.ts';
import { type About, Exchange } from './exchange.ts';
import { forward } from './forward.ts';
import { endToEndHeaders } from './headers.ts';
import type { MachineJournal } from './journal.ts';
import { toServiceUpstream } from './services.ts';
import { nameOf, type Target, targetOfLine, toTarget } from './target.ts';
import { ESTABLISHED, tunnel } from './tunnel.ts';

/** After a restart of hostd the control plane hands policies over again within seconds. */
const POLICY_WAIT_MS = 30_000;

export type EgressProxyOptions = { dial: Dial; own: readonly Service[]; log: MachineJournal; policyWaitMs?: number };

type Refuse = (reason: RefusalReason, detail?: string) => void;

/**
 * The only way out of one machine: an HTTP proxy without a listening socket. Which machine asks is known by the stream it came
 * from, never by what it says. Until a policy is set, requests wait for one, and are refused when none comes.
 */
export class EgressProxy {
  readonly #options: EgressProxyOptions;
  readonly #server: http.Server;
  readonly #streams = new Set<Duplex>();
  /** Authority of a CONNECT whose tunnel is answered right here. */
  readonly #tunnels = new WeakMap<Duplex, string>();
  #policy: CompiledPolicy | null = null;
  #waiting = new Set<() => void>();
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
    this.#use(compilePolicy(policy, this.#options.own));
  }

  #use(policy: CompiledPolicy): void {
    this.#policy = policy;
    for (const goOn of this.#waiting) goOn();
  }

  /** Null when hostd was started anew and nobody has handed the policy over again in time. */
  async #policyNow(): Promise<CompiledPolicy | null> {
    if (this.#policy === null) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, this.#options.policyWaitMs ?? POLICY_WAIT_MS);
      this.#waiting.add(resolve);
      await promise;
      this.#waiting.delete(resolve);
      clearTimeout(timer);
    }
    return this.#policy;
  }

  /** Serves one connection from the machine. */
  accept(stream: Duplex): void {
    stream.on('error', () => stream.destroy());
    if (this.#streams.size >= (this.#policy?.limits ?? EGRESS_LIMITS).connectionsMax) {
      endWith(stream, refusal('too_many', 'any host', 0));
      return;
    }
    this.#streams.add(stream);
    stream.once('close', () => this.#streams.delete(stream));
    this.#server.emit('connection', stream);
  }

  /** Nobody has given this machine a policy since hostd started. */
  get isWaiting(): boolean {
    return this.#policy === null;
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
    return this.#options.log.after(after);
  }

  close(): void {
    this.#use(DENY_ALL);
    for (const stream of this.#streams) stream.destroy();
    this.#server.close();
  }

  #begin(about: About): Exchange {
    this.#exchanges += 1;
    return new Exchange(this.#options.log, about, {
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
      return answer(res, { status: 400, body });
    }
    const { host, port, shown, rawPath: path } = target;
    const method = req.method ?? '';
    const exchange = this.#begin({ method, host: shown, port, path });
    const refuse: Refuse = (reason, detail) => {
      const refused = refusal(reason, shown, port, detail);
      answer(res, refused);
      exchange.end(reason === 'upstream_error' ? 'allow' : 'deny', reason, refused.status);
    };
    const kind = req.headers.upgrade?.toLowerCase().includes('websocket') ? 'websocket' : 'http';
    const policy = await this.#policyNow();
    if (!policy) return refuse('no_policy');
    if (this.#options.log.isFull) return refuse('log_full');
    const decision = decideEgress(policy, { kind, method, host, port, path });
    if (decision.decision === 'deny') return refuse(decision.reason, explain(decision));
    if (decision.reason === 'service') return forward(req, res, toServiceUpstream(decision.service, req, target.url), exchange);
    if (decision.reason === 'rule') return this.#toHost(req, res, { policy, target, decision, exchange, refuse });
  }

  async #toHost(
    req: IncomingMessage,
    res: ServerResponse,
    { policy, target: { port, url }, decision, exchange, refuse }: Allowed,
  ): Promise<void> {
    const { host, rule, path } = decision;
    exchange.rule = rule.id;
    const dialled = await this.#options.dial(host, port);
    if (!dialled.ok) return refuse(dialled.reason, dialled.message);
    const { socket } = dialled;
    res.once('close', () => socket.destroy());
    if (res.destroyed) {
      socket.destroy();
      return exchange.end('allow', 'rule', null);
    }
    const secrets = secretsFor(policy, host, false);
    exchange.secrets = secrets.map(({ id }) => id);
    const headers = {
      ...endToEndHeaders(req.headers),
      ...Object.fromEntries(secrets.map(({ header, value }) => [header, value])),
      host: port === 80 ? host : `${host}:${port}`,
    };
    const options = {
      method: req.method,
      path: (path ?? url.pathname) + url.search,
      headers,
      createConnection: () => socket,
    };
    forward(req, res, { options, secure: false, reason: 'rule', host, port }, exchange);
  }

  /** What an absolute request line, or one inside a tunnel that ends here, is for; null for what no proxy serves. */
  #targetOf(req: IncomingMessage): Target | null {
    const line = req.url ?? '';
    const authority = this.#tunnels.get(req.socket);
    if (authority) return line.startsWith('/') ? toTarget(authority, line) : null;
    return targetOfLine(line);
  }

  async #onConnect(req: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on('error', () => socket.destroy());
    const text = req.url ?? '';
    const authority = parseAuthority(text);
    const port = authority?.port ?? 0;
    const shown = nameOf(authority?.host ?? null) ?? text;
    const exchange = this.#begin({ method: 'CONNECT', host: shown, port, path: null });
    const refuse: Refuse = (reason, detail) => {
      const refused = refusal(reason, shown, port, detail);
      endWith(socket, refused);
      exchange.end(reason === 'upstream_error' ? 'allow' : 'deny', reason, refused.status);
    };
    if (this.#tunnels.has(socket)) return refuse('nested');
    const host = authority?.host ?? null;
    const policy = await this.#policyNow();
    if (!policy) return refuse('no_policy');
    if (this.#options.log.isFull) return refuse('log_full');
    const decision = decideEgress(policy, { kind: 'connect', method: 'CONNECT', host, port, path: null });
    if (decision.decision === 'deny') return refuse(decision.reason, explain(decision));
    if (decision.reason === 'service') {
      // Some clients tunnel plain HTTP too. Its requests are decided one by one, like any other.
      socket.write(ESTABLISHED);
      this.#tunnels.set(socket, decision.service.host);
      if (head.length > 0) socket.unshift(head);
      exchange.end('allow', 'service', 200);
      this.#server.emit('connection', socket);
      return;
    }
    if (decision.reason === 'inspect')
      return refuse('bad_port', 'TLS to this host is to be inspected, which this hostd cannot do.');
    exchange.rule = decision.rule.id;
    const dialled = await this.#options.dial(decision.host, port);
    if (!dialled.ok) return refuse(dialled.reason, dialled.message);
    tunnel(socket, head, dialled.socket, exchange);
  }
}

type Allowed = {
  policy: CompiledPolicy;
  target: Target;
  decision: Extract<Decision, { reason: 'rule' }>;
  exchange: Exchange;
  refuse: Refuse;
};

function explain(decision: Extract<Decision, { decision: 'deny' }>): string | undefined {
  return decision.detail && `About the path: ${decision.detail}.`;
}
