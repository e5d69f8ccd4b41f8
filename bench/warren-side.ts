import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { layoutOf } from '../hostd/storage/layout.ts';
import { newLease } from './guest/prepare.ts';
import { proveAwake, renewSecret } from './guest/verifier.ts';
import { type Hostd, NO_EGRESS } from './hostd.ts';
import type { Side, SleepTimes, WakeTimes } from './side.ts';

const DURABLE_AGAIN_MS = 5;
const REPLICATED_AGAIN_MS = 200;
const STORE_KEY = { id: 'k-bench', secret: randomBytes(32).toString('base64') };

/** The subject: a machine made from a template through hostd's HTTP API, asleep and awake in turn. */
export class WarrenSide implements Side {
  readonly name = 'warren';
  #hostd: Hostd;
  readonly machineId: string;
  #lease = newLease();
  #snapshots = 0;
  #latest: string | null = null;
  /** Hosts that remember the latest snapshot and no longer have it. */
  #leftOn: Hostd[] = [];
  readonly #checkpoints: string[] = [];
  #secret = '';

  private constructor(hostd: Hostd, machineId: string) {
    this.#hostd = hostd;
    this.machineId = machineId;
  }

  /** Forks the template and leaves the fork asleep. */
  static async open(hostd: Hostd, templateId: string, machineId = 'mch_benchsubject0'): Promise<WarrenSide> {
    const side = new WarrenSide(hostd, machineId);
    await side.#create({ kind: 'fork', snapshotId: templateId });
    await side.sleep();
    return side;
  }

  async #create(source: { kind: 'fork' | 'resume'; snapshotId: string }) {
    this.#lease += 1;
    return this.#hostd.client.create(this.machineId, { lease: this.#lease, source, egress: NO_EGRESS });
  }

  #nextSnapshot(): string {
    this.#snapshots += 1;
    return `${this.machineId.replace('mch_', 'snp_')}${String(this.#snapshots).padStart(5, '0')}`;
  }

  get guest() {
    return this.#hostd.guest(this.machineId);
  }

  /** Where it is. */
  get hostd(): Hostd {
    return this.#hostd;
  }

  /** The snapshot it sleeps in, and the secret of the guest in it. */
  get asleep(): { snapshotId: string; secret: string } {
    if (!this.#latest) throw new Error('the machine has not slept yet');
    return { snapshotId: this.#latest, secret: this.#secret };
  }

  /** QEMU's process of the machine that is awake. */
  async pid(): Promise<number> {
    return (await this.#hostd.client.machine(this.machineId)).process!.pid;
  }

  /** @param isUsed a machine that was used has its SSH connection, which the suspend must end; without, it is asleep before it has one */
  async sleep({ isUsed = true } = {}): Promise<SleepTimes> {
    this.#secret = await renewSecret(this.guest);
    if (isUsed) await this.#hostd.client.exec(this.machineId, { argv: ['true'], user: 'root', network: true });
    const former = this.#latest;
    const snapshotId = this.#nextSnapshot();
    await this.#hostd.client.removeSnapshot(snapshotId);
    const startedAt = performance.now();
    const { processGone } = await this.#hostd.client.suspend(this.machineId, { lease: this.#lease, snapshotId });
    const releasedMs = performance.now() - startedAt;
    if (!processGone) throw new Error('hostd says that the machine sleeps, and its process is still there');
    this.#latest = snapshotId;
    await this.#untilDurable(snapshotId);
    if (former) for (const { client } of [this.#hostd, ...this.#leftOn]) await client.removeSnapshot(former);
    this.#leftOn = [];
    return { releasedMs };
  }

  /** What hostd still writes would be in the way of whoever is measured next. */
  async #untilDurable(snapshotId: string): Promise<void> {
    const { durable } = layoutOf(this.#hostd.dataDir).snapshot(snapshotId);
    while (!existsSync(durable)) await new Promise((resolve) => setTimeout(resolve, DURABLE_AGAIN_MS));
  }

  /** A snapshot of the machine while it runs. */
  async checkpoint(): Promise<void> {
    const snapshotId = this.#nextSnapshot();
    await this.#hostd.client.checkpoint(this.machineId, { lease: this.#lease, snapshotId });
    this.#checkpoints.push(snapshotId);
  }

  /** Takes the sleeping machine to another host, by way of the object store alone: nothing of its snapshot stays where it was. */
  async moveTo(other: Hostd): Promise<void> {
    const { snapshotId } = this.asleep;
    const { client } = this.#hostd;
    await client.replicate(snapshotId, { key: STORE_KEY, group: 'bench' });
    for (;;) {
      const { durability, replication } = await client.snapshot(snapshotId);
      if (durability === 'replicated') break;
      if (replication?.state === 'failed') throw new Error(`the copy of ${snapshotId} failed: ${replication.error}`);
      await new Promise((resolve) => setTimeout(resolve, REPLICATED_AGAIN_MS));
    }
    await client.evict(snapshotId, STORE_KEY);
    await other.client.fetchSnapshot(snapshotId, { keys: [STORE_KEY] });
    this.#leftOn = [this.#hostd];
    this.#hostd = other;
  }

  async wake(): Promise<WakeTimes> {
    const startedAt = performance.now();
    const { timingsMs } = await this.#create({ kind: 'resume', snapshotId: this.#latest! });
    const saidDoneMs = performance.now() - startedAt;
    await proveAwake(this.guest, this.#secret);
    return { replyMs: performance.now() - startedAt, saidDoneMs, steps: timingsMs };
  }

  /** Question and answer while it is awake: no wake-up can be quicker. */
  async awakeReply(): Promise<number> {
    const startedAt = performance.now();
    await proveAwake(this.guest, this.#secret);
    return performance.now() - startedAt;
  }

  async close(): Promise<void> {
    await this.#hostd.client.remove(this.machineId, this.#lease).catch(() => undefined);
    for (const made of [this.#latest, ...this.#checkpoints]) if (made) await this.#hostd.client.removeSnapshot(made);
  }
}
