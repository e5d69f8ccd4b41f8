import { randomBytes } from 'node:crypto';
import os from 'node:os';
import path from 'node:path';
import type { EgressPolicyInput } from '../../hostd/contract/egress.ts';
import type { ExecResult, MachineSource, MachineView, SuspendResult } from '../../hostd/contract/machines.ts';
import { HostdProcess } from '../../hostd/machines/testing/hostd-process.ts';
import type { Phase, Reply, Through } from './attempt.ts';
import { Bait, GRANT, hostAddress } from './bait.ts';
import { noSamples, type Samples } from './during.ts';

const MEMORY_MIB = 512;
/** What hostd waits for a guest, and some: who is silent for longer hangs. */
const HUNG_MS = 180_000;

/** A real hostd with a hostile machine and another one on it, and the bait around them. */
export class World {
  readonly hostd: HostdProcess;
  readonly bait: Bait;
  /** The machine that makes the attempts now. */
  attacker = 'mch_escapeattack01';
  readonly victim = 'mch_escapevictim01';
  phase: Phase = 'booted';
  /** How long answers took while floods ran. */
  readonly samples: Samples = noSamples();
  /** The attacker's last snapshot. */
  snapshotId = '';
  lease = 1;
  #snapshots = 0;
  #machines = 1;

  private constructor(hostd: HostdProcess, bait: Bait) {
    this.hostd = hostd;
    this.bait = bait;
  }

  static async make(): Promise<World> {
    const bait = await Bait.put();
    const hostd = await HostdProcess.make({ HOSTD_NPM_UPSTREAM: `${bait.upstreamUrl}/npm/` });
    await hostd.start();
    return new World(hostd, bait);
  }

  /** Names in braces that probes may use. */
  get words(): Record<string, string> {
    return {
      bait: String(this.bait.port),
      hostd: new URL(this.hostd.url).port,
      lan: hostAddress(),
      hostname: os.hostname(),
      victim: this.victim,
      sockets: path.dirname(this.hostd.layout.sockets(this.victim).dir),
      file: this.bait.file,
      secret: this.bait.secret,
      datadir: this.hostd.dataDir,
      now: String(Math.floor(Date.now() / 1000)),
    };
  }

  /** Lists this host's own names for every port that matters: only the check of the address stands between. */
  get policy(): EgressPolicyInput {
    const { port } = new URL(this.hostd.url);
    const ports = [this.bait.port, Number(port), 80, 443];
    const service = (host: string, under: string) => ({
      host,
      upstream: `${this.bait.upstreamUrl}/${under}`,
      headers: { authorization: GRANT },
    });
    return {
      services: [service('git.warren.internal', 'git'), service('models.warren.internal', 'models')],
      allow: [
        ...['localhost', 'ip6-localhost', os.hostname()].map((host) => ({ host, ports })),
        { host: '*.example.com', ports: [443] },
      ],
    };
  }

  create(machineId: string, source: MachineSource): Promise<MachineView> {
    const body = { lease: this.lease, source, memoryMiB: MEMORY_MIB, diskGiB: 4, egress: this.policy };
    return this.hostd.call<MachineView>('PUT', `machines/${machineId}`, body);
  }

  /** Another id and its name, for a machine that will not live long. */
  nextMachineId(): string {
    this.#machines += 1;
    return `mch_escapeattack${String(this.#machines).padStart(2, '0')}`;
  }

  async boot(): Promise<void> {
    await this.create(this.attacker, { kind: 'image' });
    await this.create(this.victim, { kind: 'image' });
    await this.exec(
      this.victim,
      `printf %s ${this.bait.secret} >/root/secret; sh -c 'exec sleep 86400' ${this.bait.secret} >/dev/null 2>&1 &`,
    );
  }

  nextSnapshotId(): string {
    this.#snapshots += 1;
    return `snp_escape${String(this.#snapshots).padStart(6, '0')}`;
  }

  async suspend(): Promise<void> {
    this.snapshotId = this.nextSnapshotId();
    await this.hostd.call<SuspendResult>('POST', `machines/${this.attacker}/suspend`, {
      lease: this.lease,
      snapshotId: this.snapshotId,
    });
  }

  /** A fork of the attacker's last snapshot, for what an attempt would not survive. */
  async makeSpare(): Promise<string> {
    const machineId = this.nextMachineId();
    await this.create(machineId, { kind: 'fork', snapshotId: this.snapshotId });
    return machineId;
  }

  async resume(): Promise<void> {
    this.lease += 1;
    await this.create(this.attacker, { kind: 'resume', snapshotId: this.snapshotId });
    this.phase = 'resumed';
  }

  async fork(): Promise<void> {
    this.attacker = await this.makeSpare();
    this.phase = 'forked';
  }

  async remove(machineId: string): Promise<void> {
    await this.hostd.call('DELETE', `machines/${machineId}?lease=${this.lease}`);
  }

  /** Whatever the machine says to a request of hostd's API, or the words `hung` when nothing came. */
  async send(method: string, target: string, body?: string | Buffer | object): Promise<{ status: number; text: string }> {
    const isRaw = typeof body === 'string' || Buffer.isBuffer(body);
    try {
      const reply = await fetch(`${this.hostd.url}/${target}`, {
        method,
        headers: { authorization: `Bearer ${this.hostd.token}` },
        signal: AbortSignal.timeout(HUNG_MS),
        ...(body === undefined ? {} : { body: isRaw ? (body as string) : JSON.stringify(body) }),
      });
      return { status: reply.status, text: await reply.text() };
    } catch (cause) {
      return { status: 0, text: `hung: ${String(cause)}` };
    }
  }

  exec(machineId: string, script: string, timeoutMs = 60_000): Promise<ExecResult> {
    const body = { argv: ['sh', '-c', script], user: 'root', timeoutMs };
    return this.hostd.call<ExecResult>('POST', `machines/${machineId}/exec`, body);
  }

  /** The signs of success that count for every attempt. */
  seen(token: string, reply: Reply | null): Through {
    if (this.bait.hits.some((hit) => hit.includes(token))) return 'the listener on the host was reached';
    if (reply?.text.includes(this.bait.secret)) return 'the secret came back';
    const mine = this.bait.served.filter(({ url, headers }) => url.includes(token) || JSON.stringify(headers).includes(token));
    if (mine.some(({ headers }) => headers.authorization !== undefined && headers.authorization !== GRANT))
      return 'a service was reached with a credential of the guest’s own';
    return null;
  }

  newToken(): string {
    return `t${randomBytes(8).toString('hex')}`;
  }

  async end(): Promise<void> {
    await this.hostd.destroy();
    await this.bait.remove();
  }
}
