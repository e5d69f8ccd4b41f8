import type { SecureContext } from 'node:tls';
import type { z } from 'zod';
import type { EgressCollected, EgressFeed, EgressLogEntry, EgressPolicy } from '../contract/egress.ts';
import type { Activity, ExecResult, execSchema, FileEntry } from '../contract/machines.ts';
import type { CertificateAuthority } from '../egress/authority.ts';
import type { Service } from '../egress/decide.ts';
import type { Dial } from '../egress/dial.ts';
import type { EgressJournal } from '../egress/journal.ts';
import { EgressProxy } from '../egress/proxy.ts';
import { HostdError } from '../errors.ts';
import type { Logger } from '../logger.ts';
import type { GuestAgent, GuestMachine, GuestSide } from '../machines/guest-port.ts';
import { execByAgent } from './agent-exec.ts';
import { GuestChannel } from './channel.ts';
import { delay } from './delay.ts';
import { execInGuest } from './exec.ts';
import { listFiles, readFileInGuest } from './files.ts';
import type { SshLogin } from './ssh.ts';
import { type FollowOptions, openFollow } from './tail.ts';
import { needsAuthority, trustAuthority } from './trust-authority.ts';
import { type WriteRequest, writeInGuest } from './write.ts';

/** A cold boot under emulation on a busy host. */
const READY_DEADLINE_MS = 120_000;
/** How long a verb waits for a connection that is being made, after a wake or again. Less than its caller waits for the verb. */
const VERB_DEADLINE_MS = 45_000;

/**
 * The SSH handshake of a woken guest lets others go first, until nobody has asked anything for a while, but not forever. The guest
 * has one CPU, and emulated the handshake takes 0.3 s of it; whoever woke it asks it something at once, which the guest agent
 * answers.
 */
const QUIET_MS = 250;
const QUIET_DEADLINE_MS = 3_000;

type OpenTerminal = { name: string; lastInputAt: Date };

type Guest = {
  agent: GuestAgent;
  channel: GuestChannel;
  proxy: EgressProxy;
  /** Programs inside trust this host's certificate authority. */
  isTrusting: boolean;
  execs: number;
  /** When the last of them ended. */
  askedAt: number;
  terminals: Set<OpenTerminal>;
};

export type GuestsOptions = {
  dial: Dial;
  ownServices: readonly Service[];
  journal: EgressJournal;
  authority: CertificateAuthority;
  /** Whom to believe about the certificates of inspected hosts. */
  trust: SecureContext;
  log: Logger;
  login?: SshLogin;
  proxyPort?: number;
};

/** Everything that talks to the inside of the running machines: one SSH channel and one egress proxy each. */
export class Guests implements GuestSide {
  readonly #options: GuestsOptions;
  readonly #guests = new Map<string, Guest>();

  constructor(options: GuestsOptions) {
    this.#options = options;
  }

  async attach(machine: GuestMachine): Promise<void> {
    const { machineId, sshSocketPath, origin } = machine;
    this.gone(machineId);
    const { dial, ownServices, journal, authority, trust, log, login, proxyPort } = this.#options;
    const proxy = new EgressProxy({ dial, own: ownServices, log: journal.begin(machineId), authority, trust });
    if (machine.egress) proxy.setPolicy(machine.egress);
    const channel = new GuestChannel({
      machineId,
      socketPath: sshSocketPath,
      carried: machine.carried,
      origin,
      onProxyConnection: (stream) => proxy.accept(stream),
      log,
      ...(login ? { login } : {}),
      ...(proxyPort === undefined ? {} : { proxyPort }),
    });
    const { agent } = machine;
    this.#guests.set(machineId, { agent, channel, proxy, isTrusting: false, execs: 0, askedAt: 0, terminals: new Set() });
    await channel.start();
  }

  async ready({ machineId, egress }: GuestMachine): Promise<void> {
    const guest = this.#get(machineId);
    await untilQuiet(guest);
    await guest.channel.client(READY_DEADLINE_MS);
    if (egress) await this.#teachTrust(machineId, egress);
  }

  /** A machine without it still runs; TLS to inspected hosts fails in it, and says so. */
  async #teachTrust(machineId: string, egress: EgressPolicy): Promise<void> {
    const guest = this.#guests.get(machineId);
    if (!guest || guest.isTrusting || !needsAuthority(egress)) return;
    guest.isTrusting = true;
    try {
      await trustAuthority(await guest.channel.client(VERB_DEADLINE_MS), this.#options.authority.certificate);
    } catch (error) {
      guest.isTrusting = false;
      this.#options.log.warn({ event: 'guest.not_trusting', machineId, err: error }, 'a machine does not trust inspected hosts');
    }
  }

  async beforeSuspend({ machineId }: GuestMachine, deadlineMs: number): Promise<string | null> {
    return (await this.#guests.get(machineId)?.channel.park(deadlineMs)) ?? null;
  }

  gone(machineId: string): void {
    const guest = this.#guests.get(machineId);
    this.#guests.delete(machineId);
    guest?.channel.close();
    guest?.proxy.close();
    if (guest) this.#options.journal.end(machineId);
  }

  egressChanged({ machineId, egress }: GuestMachine): void {
    const guest = this.#guests.get(machineId);
    if (!egress || !guest) return;
    guest.proxy.setPolicy(egress);
    void this.#teachTrust(machineId, egress);
  }

  #get(machineId: string): Guest {
    const guest = this.#guests.get(machineId);
    if (!guest) throw new HostdError('conflict', { message: `machine ${machineId} is not running here`, phase: 'guest' });
    return guest;
  }

  #client(machineId: string) {
    return this.#get(machineId).channel.client(VERB_DEADLINE_MS);
  }

  /** Every verb below rejects with `conflict` when the machine does not run here and `guest_unreachable` when SSH does not answer. */
  async exec(machineId: string, input: z.output<typeof execSchema>): Promise<ExecResult> {
    const guest = this.#get(machineId);
    guest.execs += 1;
    try {
      if (!input.network && !guest.channel.isConnected) return await execByAgent(guest.agent, input);
      return await execInGuest(await this.#client(machineId), input);
    } finally {
      guest.execs -= 1;
      guest.askedAt = performance.now();
    }
  }

  async write(machineId: string, request: WriteRequest): Promise<void> {
    await writeInGuest(await this.#client(machineId), request);
  }

  async files(machineId: string, path: string): Promise<FileEntry[]> {
    return listFiles({ client: await this.#client(machineId), path });
  }

  async readFile(machineId: string, path: string): Promise<Buffer> {
    return readFileInGuest({ client: await this.#client(machineId), path });
  }

  /** See `openFollow`. */
  async follow(machineId: string, options: Omit<FollowOptions, 'channel'>): ReturnType<typeof openFollow> {
    return openFollow({ ...options, channel: this.#get(machineId).channel });
  }

  /** The channel for a terminal or the desktop, and the entry under which its input counts as activity until `close`. */
  terminal(machineId: string, name: string): { channel: GuestChannel; touch: () => void; close: () => void } {
    const guest = this.#get(machineId);
    const entry: OpenTerminal = { name, lastInputAt: new Date() };
    guest.terminals.add(entry);
    return {
      channel: guest.channel,
      touch: () => {
        entry.lastInputAt = new Date();
      },
      close: () => guest.terminals.delete(entry),
    };
  }

  /** What hostd itself sees of the machine's work; its CPU time is the lifecycle's to say. */
  activity(machineId: string): Omit<Activity, 'cpuMs'> {
    const { terminals, execs, proxy } = this.#get(machineId);
    const open = [...terminals].map(({ name, lastInputAt }) => ({ name, lastInputAt: lastInputAt.toISOString() }));
    return { terminals: open, execs, connections: proxy.connections, egressBytes: proxy.bytesMoved };
  }

  /** Waits up to `waitMs` for something to be done. */
  async egressFeed({ max, waitMs, signal }: { max: number; waitMs: number; signal: AbortSignal }): Promise<EgressFeed> {
    const { journal } = this.#options;
    const look = (): EgressFeed => ({
      waiting: [...this.#guests].filter(([, { proxy }]) => proxy.isWaiting).map(([machineId]) => machineId),
      entries: journal.uncollected(max),
    });
    const found = look();
    if (found.waiting.length + found.entries.length > 0 || waitMs === 0) return found;
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer);
        forget();
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, waitMs);
      const forget = journal.onNews(done);
      signal.addEventListener('abort', done);
    });
    return look();
  }

  egressCollected({ upTo }: EgressCollected): void {
    for (const [machineId, seq] of Object.entries(upTo)) this.#options.journal.collected(machineId, seq);
  }

  egressLog(machineId: string, after: number): EgressLogEntry[] {
    return this.#get(machineId).proxy.log(after);
  }
}

async function untilQuiet(guest: Guest): Promise<void> {
  const since = performance.now();
  while (guest.channel.isWaiting && performance.now() < since + QUIET_DEADLINE_MS) {
    const quietMs = guest.execs > 0 ? 0 : performance.now() - Math.max(guest.askedAt, since);
    if (quietMs >= QUIET_MS) return;
    await delay(QUIET_MS - quietMs, guest.channel.ended);
  }
}
