import type { Client, ClientChannel } from 'ssh2';
import { HostdError } from '../errors.ts';
import type { Logger } from '../logger.ts';
import type { GuestMachine } from '../machines/guest-port.ts';
import { parseCarriedBanner } from './banner.ts';
import { delay } from './delay.ts';
import { GuestPort } from './port.ts';
import { connectSsh, GUEST_LOGIN, type SshLogin } from './ssh.ts';

/** Under emulation on a busy host a handshake takes up to a few seconds. */
const HANDSHAKE_DEADLINE_MS = 30_000;
/** A banner that was carried over a suspend is right or wrong at once. */
const CARRIED_DEADLINE_MS = 10_000;
/**
 * A running guest whose sshd has said nothing for this long still serves a connection that is gone. Longer each time: a nudge
 * that reaches an sshd which was only slow to start makes it start over.
 */
const NUDGE_AFTER_MS = 2_000;
const NUDGE_FACTOR = 4;
const BACKOFF_MS = [250, 500, 1_000, 2_000, 5_000] as const;
/** A connection that is lost sooner was none: a guest that hangs up at once must not keep us shaking hands and logging. */
const STEADY_MS = 10_000;
export const PROXY_PORT = 3128;
/** Connections to the proxy address at a time; each is held here until the guest lets go of it. */
const PROXY_CONNECTIONS_MAX = 512;

export type ChannelOptions = {
  machineId: string;
  socketPath: string;
  carried: string | null;
  /** Decides what its sshd may be doing: starting, waiting as it was left, or still serving a connection that is gone. */
  origin: GuestMachine['origin'];
  /** A connection that a program in the guest made to its proxy address. */
  onProxyConnection: (stream: ClientChannel) => void;
  log: Logger;
  login?: SshLogin;
  proxyPort?: number;
};

/**
 * The one SSH connection into a running machine, kept up until `close`: reconnects with backoff when sshd or the socket goes
 * away. Verbs take the client with `client(deadlineMs)` and never hold it over a failure.
 */
export class GuestChannel {
  readonly #options: ChannelOptions;
  readonly #ended = new AbortController();
  #port: GuestPort | null = null;
  #client: Client | null = null;
  #waiters = new Set<() => void>();
  #closing = false;
  #nudge: boolean;
  /** Until `open`. */
  #carried: Buffer | null = null;
  /** How long the last connect took from socket to proxy, and whether the carried banner was of use. */
  lastConnect: { ms: number; carried: boolean } | null = null;

  constructor(options: ChannelOptions) {
    this.#options = options;
    this.#nudge = options.origin !== 'image' && options.origin !== 'disk';
  }

  /** Aborts when the machine is gone. */
  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  /** Whether `client` answers at once. */
  get isConnected(): boolean {
    return this.#client !== null;
  }

  /** Being suspended or gone: `client` will not answer again. */
  get isParked(): boolean {
    return this.#closing;
  }

  /**
   * Connects the socket, which must exist, and goes on by itself from there. Does not wait for the guest. With a banner carried
   * over a suspend the handshake waits for `open`.
   */
  async start(): Promise<void> {
    const port = await GuestPort.connect(this.#options.socketPath);
    if (this.#closing) return port.close();
    this.#port = port;
    const { origin, carried } = this.#options;
    const isRestored = origin === 'resume' || origin === 'fork';
    const banner = isRestored ? parseCarriedBanner(carried) : null;
    // Whatever this sshd was doing when it was frozen, it has said its banner already or cannot say it: start over.
    if (isRestored && !banner) port.nudge();
    if (banner) this.#carried = banner;
    else void this.#keepConnected(null);
  }

  /** Whether the handshake waits for `open`. */
  get isWaiting(): boolean {
    return this.#carried !== null;
  }

  /** Begins the handshake if it waits for that. `client` does so too. */
  open(): void {
    const carried = this.#carried;
    this.#carried = null;
    if (carried && !this.#closing) void this.#keepConnected(carried);
  }

  /** The connected client, at once or within the deadline. Rejects with `guest_unreachable`. */
  async client(deadlineMs: number): Promise<Client> {
    this.open();
    const deadline = AbortSignal.timeout(deadlineMs);
    while (!this.#client) {
      if (this.#closing) throw unreachable(this.#options.machineId, 'it is being suspended or removed');
      if (deadline.aborted) throw unreachable(this.#options.machineId, `SSH did not answer within ${deadlineMs} ms`);
      await this.#stateChange(AbortSignal.any([deadline, this.#ended.signal]));
    }
    return this.#client;
  }

  #stateChange(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.#waiters.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      if (signal.aborted) return resolve();
      this.#waiters.add(done);
      signal.addEventListener('abort', done);
    });
  }

  #setClient(client: Client | null): void {
    this.#client = client;
    for (const wake of [...this.#waiters]) wake();
  }

  async #keepConnected(carried: Buffer | null): Promise<void> {
    let prelude = carried;
    for (let failures = 0; !this.#closing; ) {
      try {
        const client = await this.#connectOnce(prelude);
        const connectedAt = performance.now();
        await new Promise<void>((resolve) => client.once('close', () => resolve()));
        if (performance.now() - connectedAt > STEADY_MS) failures = 0;
        this.#setClient(null);
        if (this.#closing) return;
        this.#nudge = true;
        this.#options.log.info({ event: 'guest.ssh_lost', machineId: this.#options.machineId }, 'SSH connection lost');
      } catch (error) {
        if (this.#closing) return;
        const fields = { event: 'guest.ssh_failed', machineId: this.#options.machineId, failures, heard: this.#port?.lastHeard };
        this.#options.log.warn({ ...fields, err: error }, 'SSH into the guest failed');
        // Closing the socket is an end of file to the guest's sshd, whatever state it was left in.
        this.#port?.close();
        this.#nudge = true;
      }
      prelude = null;
      await delay(BACKOFF_MS[Math.min(failures, BACKOFF_MS.length - 1)]!, this.#ended.signal);
      failures += 1;
    }
  }

  async #connectOnce(carried: Buffer | null): Promise<Client> {
    const startedAt = performance.now();
    const port = await this.#openPort();
    const prelude = carried ?? (await this.#awaitBanner(port));
    const client = await connectSsh(port.openStream(prelude), {
      login: this.#options.login ?? GUEST_LOGIN,
      deadlineMs: carried ? CARRIED_DEADLINE_MS : HANDSHAKE_DEADLINE_MS,
    });
    let proxied = 0;
    client.on('tcp connection', (_details, accept, reject) => {
      if (proxied >= PROXY_CONNECTIONS_MAX) return reject();
      proxied += 1;
      const stream = accept();
      stream.once('close', () => {
        proxied -= 1;
      });
      this.#options.onProxyConnection(stream);
    });
    await forwardIn(client, this.#options.proxyPort ?? PROXY_PORT);
    this.lastConnect = { ms: Math.round(performance.now() - startedAt), carried: carried !== null };
    this.#setClient(client);
    const fields = { event: 'guest.ssh_ready', machineId: this.#options.machineId, durationMs: this.lastConnect.ms };
    this.#options.log.info({ ...fields, carriedBanner: carried !== null }, 'SSH into the guest is up');
    return client;
  }

  async #openPort(): Promise<GuestPort> {
    const open = this.#port;
    if (open && !open.isClosed) return open;
    const port = await GuestPort.connect(this.#options.socketPath);
    if (this.#closing) {
      port.close();
      throw new Error('the machine is gone');
    }
    this.#port = port;
    return port;
  }

  async #awaitBanner(port: GuestPort): Promise<Buffer> {
    let timer: NodeJS.Timeout | undefined;
    const nudgeAfter = (ms: number) => {
      timer = setTimeout(() => {
        port.nudge();
        nudgeAfter(ms * NUDGE_FACTOR);
      }, ms);
    };
    if (this.#nudge) nudgeAfter(NUDGE_AFTER_MS);
    try {
      return await port.awaitBanner(this.#ended.signal);
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * Ends the connection politely and waits until the guest's next sshd has sent its banner. The socket stays connected, so
   * that a guest that is frozen right after finds itself as it was. Returns the banner; null when the deadline came first.
   */
  async park(deadlineMs: number): Promise<string | null> {
    const client = this.#client;
    const carried = this.#carried;
    this.#closing = true;
    this.#setClient(null);
    // That sshd has not been spoken to yet.
    if (carried) return carried.toString('latin1');
    if (!client || !this.#port) return null;
    client.end();
    try {
      const banner = await this.#port.awaitBanner(AbortSignal.timeout(deadlineMs));
      return parseCarriedBanner(banner.toString('latin1')) ? banner.toString('latin1') : null;
    } catch {
      return null;
    }
  }

  /** Drops everything at once. Never throws. */
  close(): void {
    this.#closing = true;
    this.#ended.abort(unreachable(this.#options.machineId, 'it is gone'));
    const client = this.#client;
    this.#setClient(null);
    client?.destroy();
    this.#port?.close();
  }
}

function unreachable(machineId: string, why: string): HostdError {
  return new HostdError('guest_unreachable', { message: `machine ${machineId} cannot be reached: ${why}`, phase: 'guest.ssh' });
}

function forwardIn(client: Client, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const lost = () => reject(new Error('the connection closed while asking for the proxy address'));
    client.once('close', lost);
    client.forwardIn('127.0.0.1', port, (error) => {
      client.off('close', lost);
      if (error) reject(new Error(`the guest's sshd refused to listen on 127.0.0.1:${port}`, { cause: error }));
      else resolve();
    });
  });
}
