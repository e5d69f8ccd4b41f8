import http, { type IncomingMessage, type RequestOptions, type ServerResponse } from 'node:http';
import type { Agent } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { SecureContext } from 'node:tls';
import { type CanonicalHost, parseAuthority } from '../contract/canonical-host.ts';
import { EGRESS_LIMITS, type EgressLimits, type EgressLogEntry, type EgressPolicy } from '../contract/egress.ts';
import type { CertificateAuthority } from './authority.ts';
import { type CompiledPolicy, compilePolicy, DENY_ALL, type Decision, decideEgress, type Service, secretsFor } from './decide.ts';
import { answer, endWith, isDenial, type Refusal, type RefusalReason, refusal } from './denial.ts';
import type { Dial } from './dial.ts';
import { type About, Exchange } from './exchange.ts';
import { forward } from './forward.ts';
import { endToEndHeaders, framedAs, type Headers, hasBody, withoutOverrides } from './headers.ts';
import type { MachineJournal } from './journal.ts';
import { openTls } from './open-tls.ts';
import { RateLimit } from './rate.ts';
import { secure } from './secure.ts';
import { serviceAgent, toServiceUpstream } from './services.ts';
import { isForTunnel, nameOf, type Target, type Tunnel, targetInTunnel, targetOfLine } from './target.ts';
import { ESTABLISHED, join, type TunnelLimits } from './tunnel.ts';
import { forwardUpgrade, isWebSocket } from './upgrade.ts';

/** After a restart of hostd the control plane hands policies over again within seconds. */
const POLICY_WAIT_MS = 30_000;
const HEADER_BYTES_MAX = 64 * 1024;
const HEADERS_MS_MAX = 60_000;

export type EgressProxyOptions = {
  dial: Dial;
  own: readonly Service[];
  log: MachineJournal;
  /** Ends TLS of inspected hosts. */
  authority: Pick<CertificateAuthority, 'contextFor'>;
  /** Whom to believe about the certificates of inspected hosts and services. */
  trust: SecureContext;
  policyWaitMs?: number;
  headersMsMax?: number;
};

type Refuse = (reason: RefusalReason, detail?: string) => void;

/** A request or tunnel on its way to a decision, and how to say no to it. */
type Ask = { target: Target; method: string; exchange: Exchange; refuse: Refuse };
type Allowed = Ask & { policy: CompiledPolicy; decision: Extract<Decision, { reason: 'rule' }> };

/**
 * The only way out of one machine: an HTTP proxy without a listening socket. Which machine asks is known by the stream it came
 * from, never by what it says. Until a policy is set, requests wait for one, and are refused when none comes.
 */
export class EgressProxy {
  readonly #options: EgressProxyOptions;
  readonly #server: http.Server;
  readonly #agent: Agent;
  readonly #streams = new Set<Duplex>();
  /** What a CONNECT whose tunnel is answered right here was for. */
  readonly #tunnels = new WeakMap<Duplex, Tunnel>();
  readonly #rate = new RateLimit();
  #policy: CompiledPolicy | null = null;
  #waiting = new Set<() => void>();
  #exchanges = 0;
  #bytesMoved = 0;

  constructor(options: EgressProxyOptions) {
    this.#options = options;
    this.#agent = serviceAgent(options.trust);
    // A push may take as long as it needs; the first lines of a request may not.
    const headersTimeout = options.headersMsMax ?? HEADERS_MS_MAX;
    this.#server = http.createServer({
      requestTimeout: 0,
      headersTimeout,
      connectionsCheckingInterval: headersTimeout / 12,
      maxHeaderSize: HEADER_BYTES_MAX,
      shouldUpgradeCallback: isWebSocket,
    });
    this.#server.on('request', (req, res) => void this.#onRequest(req, res));
    this.#server.on('upgrade', (req: IncomingMessage, socket: Duplex, head: Buffer) => void this.#onUpgrade(req, socket, head));
    this.#server.on('connect', (req: IncomingMessage, socket: Duplex, head: Buffer) => void this.#onConnect(req, socket, head));
    this.#server.on('clientError', (error: NodeJS.ErrnoException, socket) => this.#onClientError(error, socket));
    // It never listens, and Node begins to look for late headers only then.
    this.#server.emit('listening');
  }

  /** In force for requests that begin from now on. */
  setPolicy(policy: EgressPolicy): void {
    this.#use(compilePolicy(policy, this.#options.own));
  }

  #use(policy: CompiledPolicy): void {
    this.#policy = policy;
    for (const goOn of this.#waiting) goOn();
  }

  get #limits(): EgressLimits {
    return this.#policy?.limits ?? EGRESS_LIMITS;
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
    const ask = { method: '', host: '', port: 0, path: null };
    if (!this.#mayBegin(ask, (refused) => endWith(stream, refused))) return;
    if (this.#streams.size >= this.#limits.connectionsMax) {
      const refused = refusal('too_many', '', 0);
      endWith(stream, refused);
      this.#begin(ask).end('deny', 'too_many', refused.status);
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
    this.#agent.destroy();
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

  /** Counts it against the machine's rate. Of those that go over it, the first in a minute is logged. */
  #mayBegin(about: About, say: (refused: Refusal) => void): boolean {
    const begun = this.#rate.begin(this.#limits.perMinuteMax);
    if (begun.ok) return true;
    const refused = { ...refusal('rate', about.host, about.port), retryAfterS: Math.ceil(begun.retryAfterMs / 1000) };
    say(refused);
    if (begun.refusedBefore === 0) this.#begin(about).end('deny', 'rate', refused.status);
    return false;
  }

  /** Null when it was refused already. */
  #ask(target: Target, method: string, path: string | null, say: (refused: Refusal) => void): Ask | null {
    const { shown, port } = target;
    const about = { method, host: shown, port, path };
    if (!this.#mayBegin(about, say)) return null;
    const exchange = this.#begin(about);
    const refuse: Refuse = (reason, detail) => {
      const refused = refusal(reason, shown, port, detail);
      say(refused);
      exchange.end(isDenial(reason) ? 'deny' : 'allow', reason, refused.status);
    };
    // One connection can ask for any number before the first answer, each a connection of ours.
    if (this.#exchanges > this.#limits.connectionsMax) {
      refuse('too_many');
      return null;
    }
    return { target, method, exchange, refuse };
  }

  /** The decision when it is for the request; null when it was refused. */
  async #decide({ target, method, refuse }: Ask, kind: 'http' | 'websocket' | 'connect', body = false) {
    const policy = await this.#policyNow();
    if (!policy) return refuse('no_policy');
    if (this.#options.log.isFull) return refuse('log_full');
    const { host, port, rawPath } = target;
    const decision = decideEgress(policy, { kind, method, body, host, port, path: kind === 'connect' ? null : rawPath });
    if (decision.decision === 'allow') return { policy, decision };
    refuse(decision.reason, decision.detail && `About the path: ${decision.detail}.`);
  }

  async #onRequest(req: IncomingMessage, res: ServerResponse): Promise<void> {
    req.on('error', () => {});
    res.on('error', () => {});
    const target = this.#targetOf(req);
    if (!target) {
      const body = 'This is the proxy of a Warren machine. Requests need an absolute http:// URL; https goes through CONNECT.\n';
      return answer(res, { status: 400, body });
    }
    const ask = this.#ask(target, req.method ?? '', target.rawPath, (refused) => answer(res, refused));
    if (!ask) return;
    if (!this.#isForItsTunnel(req)) return ask.refuse('host_mismatch');
    const found = await this.#decide(ask, 'http', hasBody(req.headers));
    if (!found) return;
    const { policy, decision } = found;
    if (decision.reason === 'service')
      return forward(req, res, toServiceUpstream(decision.service, req, target.url, this.#agent), ask.exchange);
    if (decision.reason !== 'rule') return ask.refuse('nested');
    const isSecure = this.#tunnels.get(req.socket)?.secure ?? false;
    const allowed = { ...ask, policy, decision };
    const socket = await this.#reach(allowed, isSecure);
    if (!socket) return;
    res.once('close', () => socket.destroy());
    if (res.destroyed) {
      socket.destroy();
      return ask.exchange.end('allow', 'rule', null);
    }
    const { host } = decision;
    const options = requestOptions(req, allowed, isSecure, socket);
    const { port } = target;
    forward(req, res, { options, secure: false, reason: 'rule', host, port, limits: limitsOf(allowed) }, ask.exchange);
  }

  async #onUpgrade(req: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on('error', () => socket.destroy());
    const target = this.#targetOf(req);
    if (!target) return endWith(socket, refusal('bad_request', '', 0));
    const ask = this.#ask(target, req.method ?? '', target.rawPath, (refused) => endWith(socket, refused));
    if (!ask) return;
    if (!this.#isForItsTunnel(req)) return ask.refuse('host_mismatch');
    const found = await this.#decide(ask, 'websocket');
    if (found?.decision.reason !== 'rule') return;
    const isSecure = this.#tunnels.get(req.socket)?.secure ?? false;
    const allowed = { ...ask, policy: found.policy, decision: found.decision };
    const upstream = await this.#reach(allowed, isSecure);
    if (!upstream) return;
    socket.once('close', () => upstream.destroy());
    const options = requestOptions(req, allowed, isSecure, upstream);
    // A handshake has no body, whatever the machine announced.
    options.headers = { ...framedAs(options.headers, {}), connection: 'Upgrade', upgrade: 'websocket' };
    const fail = (message: string) => ask.refuse('upstream_error', message);
    forwardUpgrade(socket, head, options, { exchange: ask.exchange, limits: limitsOf(allowed), fail });
  }

  /** A connection to an allowed host, verified where it is to be secure; null when it was refused. */
  async #reach({ decision: { host, rule }, target, exchange, refuse }: Allowed, isSecure: boolean): Promise<Socket | null> {
    exchange.rule = rule.id;
    const dialled = await this.#options.dial(host, target.port);
    if (!dialled.ok) {
      refuse(dialled.reason, dialled.message);
      return null;
    }
    if (!isSecure) return dialled.socket;
    const secured = await secure(dialled.socket, host, this.#options.trust);
    if (secured.ok) return secured.socket;
    refuse(secured.reason, secured.message);
    return null;
  }

  /** What an absolute request line, or one inside a tunnel that ends here, is for; null for what no proxy serves. */
  #targetOf(req: IncomingMessage): Target | null {
    const tunnel = this.#tunnels.get(req.socket);
    return tunnel ? targetInTunnel(tunnel, req.url ?? '') : targetOfLine(req.url ?? '');
  }

  /** Whether the request names the host that its tunnel was opened to. */
  #isForItsTunnel(req: IncomingMessage): boolean {
    const tunnel = this.#tunnels.get(req.socket);
    return tunnel === undefined || isForTunnel(tunnel, req.headers.host);
  }

  async #onConnect(req: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on('error', () => socket.destroy());
    const text = req.url ?? '';
    const authority = parseAuthority(text);
    const host = authority?.host ?? null;
    const port = authority?.port ?? 0;
    const target = { host, port, shown: nameOf(host) ?? text, rawPath: '', url: { pathname: '', search: '' } };
    const ask = this.#ask(target, 'CONNECT', null, (refused) => endWith(socket, refused));
    if (!ask) return;
    if (this.#tunnels.has(socket)) return ask.refuse('nested');
    const found = await this.#decide(ask, 'connect');
    if (!found) return;
    const { policy, decision } = found;
    if (decision.reason === 'rule') {
      const upstream = await this.#reach({ ...ask, policy, decision }, false);
      if (!upstream) return;
      socket.write(ESTABLISHED);
      if (head.length > 0) socket.unshift(head);
      return join(socket, upstream, ask.exchange, limitsOf({ ...ask, policy, decision }), 200);
    }
    socket.write(ESTABLISHED);
    if (head.length > 0) socket.unshift(head);
    if (decision.reason === 'inspect') return this.#lookInto(socket, decision.host, ask);
    // Some clients tunnel plain HTTP too. Its requests are decided one by one, like any other.
    this.#serveTunnel(socket, { host: decision.service.host, port, secure: false, isService: true });
    ask.exchange.end('allow', 'service', 200);
  }

  async #lookInto(socket: Duplex, host: CanonicalHost, { target, exchange }: Ask): Promise<void> {
    const opened = await openTls(socket, host, this.#options.authority);
    if (!opened.ok) return exchange.end('deny', opened.reason, 200);
    exchange.end('allow', 'inspect', 200);
    this.#serveTunnel(opened.stream, { host, port: target.port, secure: opened.secure, isService: false });
  }

  #serveTunnel(stream: Duplex, tunnel: Tunnel): void {
    stream.on('error', () => stream.destroy());
    this.#tunnels.set(stream, tunnel);
    this.#server.emit('connection', stream);
    // Looking at its first byte has stopped it.
    stream.resume();
  }

  #onClientError({ code }: NodeJS.ErrnoException, socket: Duplex): void {
    const reason = REASON_OF_CLIENT_ERROR[code ?? ''] ?? (code?.startsWith('HPE_') ? 'bad_request' : null);
    // A connection that broke asked for nothing.
    if (reason === null || socket.destroyed || !socket.writable) return void socket.destroy();
    const tunnel = this.#tunnels.get(socket);
    const refused = refusal(reason, tunnel?.host ?? '', tunnel?.port ?? 0);
    const exchange = this.#begin({ method: '', host: tunnel?.host ?? '', port: tunnel?.port ?? 0, path: null });
    exchange.end('deny', reason, refused.status);
    endWith(socket, refused);
  }
}

const REASON_OF_CLIENT_ERROR: Record<string, RefusalReason> = {
  HPE_HEADER_OVERFLOW: 'headers_too_large',
  ERR_HTTP_REQUEST_TIMEOUT: 'idle',
};

function limitsOf({ policy: { limits }, decision: { rule } }: Allowed): TunnelLimits {
  return {
    requestBytesMax: rule.requestBytesMax ?? limits.requestBytesMax,
    responseBytesMax: rule.responseBytesMax ?? limits.responseBytesMax,
    idleMsMax: limits.idleMsMax,
  };
}

/** The request as it goes on: to the name that was decided about, on the path that was compared, with the host's secrets. */
function requestOptions(
  req: IncomingMessage,
  { policy, target, decision, exchange }: Allowed,
  isSecure: boolean,
  socket: Socket,
): RequestOptions & { headers: Headers } {
  const { host, path, rule } = decision;
  const { port, url } = target;
  const kept = endToEndHeaders(req.headers);
  const isHeld = rule.methods !== null || rule.paths !== null;
  const secrets = secretsFor(policy, host, isSecure);
  exchange.secrets = secrets.map(({ id }) => id);
  return {
    method: req.method,
    path: (path ?? url.pathname) + url.search,
    headers: {
      ...(isHeld ? withoutOverrides(kept) : kept),
      ...Object.fromEntries(secrets.map(({ header, value }) => [header, value])),
      host: port === (isSecure ? 443 : 80) ? host : `${host}:${port}`,
    },
    createConnection: () => socket,
  };
}
