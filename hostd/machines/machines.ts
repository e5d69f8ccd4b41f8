import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import os from 'node:os';
import type { MachinesPort } from '../api/machines-port.ts';
import type { EgressPolicy } from '../contract/egress.ts';
import type {
  CheckpointMachine,
  CheckpointResult,
  CreateMachine,
  HostView,
  IsolationLack,
  MachineView,
  RewindMachine,
  SnapshotView,
  SuspendMachine,
  SuspendResult,
} from '../contract/machines.ts';
import type { Collect, Collected, FetchSnapshot, Replicate, StoreKeyInput } from '../contract/replicas.ts';
import { CONTRACT_VERSION } from '../contract/version.ts';
import { HostdError, messageOf } from '../errors.ts';
import { faultPoint } from '../fault/fault-point.ts';
import type { ImageIds } from '../guest/image/recipe.ts';
import type { Driver } from '../hypervisor/driver.ts';
import type { Logger } from '../logger.ts';
import { canReflink, readIfExists, writeAtomically } from '../storage/files.ts';
import { pruneImages } from '../storage/images.ts';
import type { Layout } from '../storage/layout.ts';
import { requireLease } from '../storage/leases.ts';
import type { Engine } from '../storage/replicas/engine.ts';
import { Replicas } from '../storage/replicas/replicas.ts';
import { listSnapshots, prepareManifests, removeSnapshot, requireSnapshot, toSnapshotView } from '../storage/snapshots.ts';
import { freeDataBytes } from './capacity.ts';
import { checkpointMachine } from './checkpoint-machine.ts';
import { capQemuLog, collectConsole, readConsole } from './console.ts';
import { applyEgress, type MachineContext } from './context.ts';
import { createMachine } from './create-machine.ts';
import { discardEnded, endMachine } from './exit.ts';
import type { GuestSide } from './guest-port.ts';
import { KeyedLock } from './keyed-lock.ts';
import { listRecords, type MachineRecord, readRecord, toMachineView } from './record.ts';
import { recoverMachines } from './recover.ts';
import { rewindMachine } from './rewind-machine.ts';
import { Spares, sizeOf } from './spares.ts';
import { suspendMachine } from './suspend-machine.ts';

const MIB = 1024 * 1024;
const TIDY_INTERVAL_MS = 60_000;
const STALL_LOOK_MS = 2_000;
/** Less would be used up in a moment, and the machine would stand still again. */
const GO_ON_FREE_BYTES = 64 * MIB;

export type MachinesOptions = {
  layout: Layout;
  driver: Driver;
  guest: GuestSide;
  log: Logger;
  imageIds: ImageIds;
  acceleratorReason: string;
  isolationLacks: IsolationLack[];
  /** QEMU processes that are kept waiting to become machines. */
  spares: number;
  version: string;
  /** Where copies of snapshots go: for people, and the means. Absent: they stay here. */
  objectStore?: { location: string; engine: Engine };
};

/** Every machine and snapshot of this host. The data directory and the process table are the truth; this only acts on them. */
export class Machines implements MachinesPort {
  readonly #ctx: MachineContext;
  readonly #options: MachinesOptions;
  readonly #replicas: Replicas;
  #tidy: NodeJS.Timeout | null = null;
  #stallWatch: NodeJS.Timeout | null = null;

  private constructor(ctx: MachineContext, options: MachinesOptions) {
    this.#ctx = ctx;
    this.#options = options;
    const { layout, log, hostBootId } = ctx;
    this.#replicas = new Replicas({ layout, log, hostBootId, engine: options.objectStore?.engine ?? null });
  }

  /** Takes up what a former hostd left. The data directory is prepared. */
  static async open(options: MachinesOptions): Promise<Machines> {
    const { layout, driver, guest, log, imageIds } = options;
    const hostBootId = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
    const spares = new Spares({ layout, driver, log, count: options.spares });
    const ctx = {
      layout,
      driver,
      guest,
      log,
      imageIds,
      hostBootId,
      spares,
      connected: new Map(),
      egress: new Map(),
      locks: new KeyedLock(),
      finishing: new Set<string>(),
    };
    const machines = new Machines(ctx, options);
    await prepareManifests(layout);
    await recoverMachines(ctx);
    await machines.#replicas.tidy(Date.now());
    await machines.pruneImages();
    await machines.#fillSpares();
    machines.#tidy = setInterval(() => void machines.#tidyUp(), TIDY_INTERVAL_MS).unref();
    machines.#stallWatch = setInterval(
      () =>
        void machines
          .#goOnWithSpace()
          .catch((err) => log.warn({ event: 'machine.stays_stalled', err }, 'a machine could not be let go on')),
      STALL_LOOK_MS,
    ).unref();
    return machines;
  }

  /** Removes images that are of no current recipe and that no machine or snapshot was made from. */
  async pruneImages(): Promise<void> {
    const { layout, imageIds } = this.#ctx;
    const [records, snapshots] = await Promise.all([listRecords(layout), listSnapshots(layout)]);
    const used = new Set([
      ...Object.values(imageIds),
      ...records.map((record) => record.imageId),
      ...snapshots.map(({ manifest }) => manifest.imageId),
    ]);
    await pruneImages(layout, (id) => used.has(id));
  }

  /** Until a machine is made from a snapshot, the newest one says what size is likely. */
  async #fillSpares(): Promise<void> {
    const manifests = (await listSnapshots(this.#ctx.layout)).map(({ manifest }) => manifest);
    const newest = manifests.sort((a, b) => b.createdAt.localeCompare(a.createdAt))[0];
    if (newest) this.#ctx.spares.refill(sizeOf(newest));
  }

  /** Lets go of every machine. They run on and are taken up by the next hostd. Ends what waits to become one. */
  async close(): Promise<void> {
    if (this.#tidy) clearInterval(this.#tidy);
    if (this.#stallWatch) clearInterval(this.#stallWatch);
    for (const [machineId, vm] of this.#ctx.connected) {
      this.#ctx.connected.delete(machineId);
      this.#ctx.guest.gone(machineId);
      vm.release();
    }
    await this.#ctx.spares.close();
  }

  async host(): Promise<Omit<HostView, 'images'>> {
    const { layout, driver } = this.#ctx;
    return {
      hostId: await this.#hostId(),
      version: this.#options.version,
      contractVersion: CONTRACT_VERSION,
      accelerator: driver.platform.accelerator,
      acceleratorReason: this.#options.acceleratorReason,
      qemuVersion: driver.platform.qemuVersion,
      cores: os.availableParallelism(),
      memoryMiB: Math.floor(os.totalmem() / MIB),
      memoryFreeMiB: await availableMiB(),
      diskFreeBytes: await freeDataBytes(layout),
      reflink: await canReflink(layout.dataDir),
      objectStore: this.#options.objectStore?.location ?? null,
      machines: (await listRecords(layout)).length,
      isolationLacks: this.#options.isolationLacks,
    };
  }

  async #hostId(): Promise<string> {
    const file = this.#ctx.layout.hostId;
    const known = await readIfExists(file);
    if (known) return known;
    const made = `hst_${randomBytes(10).toString('hex')}`;
    await writeAtomically(file, made);
    return made;
  }

  async list(): Promise<MachineView[]> {
    return (await listRecords(this.#ctx.layout)).map((record) => this.#view(record));
  }

  async get(machineId: string): Promise<MachineView> {
    return this.#view(await this.#require(machineId));
  }

  create(machineId: string, input: CreateMachine): Promise<MachineView> {
    return createMachine(this.#ctx, machineId, input);
  }

  async suspend(machineId: string, { replicate, ...input }: SuspendMachine): Promise<SuspendResult> {
    const result = await suspendMachine(this.#ctx, machineId, input);
    if (replicate && this.#replicas.isConfigured) {
      // The machine sleeps, whatever becomes of the copy; whoever wants one asks again.
      await this.#replicas
        .replicate(input.snapshotId, replicate)
        .catch((error) =>
          this.#ctx.log.warn(
            { event: 'snapshot.not_replicated', snapshotId: input.snapshotId, reason: messageOf(error) },
            'no copy was begun',
          ),
        );
    }
    return { ...result, snapshot: this.#withProgress(result.snapshot) };
  }

  checkpoint(machineId: string, input: CheckpointMachine): Promise<CheckpointResult> {
    return checkpointMachine(this.#ctx, machineId, input);
  }

  rewind(machineId: string, input: RewindMachine): Promise<MachineView> {
    return rewindMachine(this.#ctx, machineId, input);
  }

  remove(machineId: string, lease: number): Promise<void> {
    return this.#ctx.locks.run(machineId, async () => {
      await requireLease(this.#ctx.layout, machineId, lease);
      await endMachine(this.#ctx, machineId);
      await discardEnded(this.#ctx, machineId, { phase: 'machine.remove', before: () => faultPoint('remove.qemu_gone') });
      this.#ctx.log.info({ event: 'machine.removed', machineId }, 'a machine was removed');
    });
  }

  setEgress(machineId: string, egress: EgressPolicy): Promise<void> {
    return this.#ctx.locks.run(machineId, async () => {
      await applyEgress(this.#ctx, await this.#require(machineId), egress);
    });
  }

  async cpuMs(machineId: string): Promise<number> {
    const { process } = await this.#require(machineId);
    return process ? this.#ctx.driver.cpuMs(process) : 0;
  }

  async console(machineId: string): Promise<string> {
    await this.#require(machineId);
    const files = this.#ctx.layout.machine(machineId);
    const vm = this.#ctx.connected.get(machineId);
    if (vm) await collectConsole(vm, files).catch(() => undefined);
    return readConsole(files);
  }

  async snapshots(): Promise<SnapshotView[]> {
    return (await listSnapshots(this.#ctx.layout)).map((view) => this.#withProgress(view));
  }

  async snapshot(snapshotId: string): Promise<SnapshotView> {
    return this.#withProgress(await toSnapshotView(this.#ctx.layout, await requireSnapshot(this.#ctx.layout, snapshotId)));
  }

  removeSnapshot(snapshotId: string): Promise<void> {
    return this.#ctx.locks.run(snapshotId, async () => {
      await this.#replicas.removeRef(snapshotId);
      await removeSnapshot(this.#ctx.layout, snapshotId);
    });
  }

  async replicate(snapshotId: string, input: Replicate): Promise<SnapshotView> {
    await this.#replicas.replicate(snapshotId, input);
    return this.snapshot(snapshotId);
  }

  async fetchSnapshot(snapshotId: string, { keys }: FetchSnapshot): Promise<SnapshotView> {
    await this.#replicas.fetch(snapshotId, keys);
    return this.snapshot(snapshotId);
  }

  async evict(snapshotId: string, key: StoreKeyInput): Promise<SnapshotView> {
    // The lock keeps a machine that is being made from it from losing its files.
    await this.#ctx.locks.run(snapshotId, () => this.#replicas.evict(snapshotId, key));
    return this.snapshot(snapshotId);
  }

  collect({ key, retention }: Collect): Promise<Collected> {
    const rules = retention && { ...retention, keepCheckpoints: retention.keepCheckpoints ?? true };
    return this.#replicas.collect(key, rules);
  }

  #withProgress(view: SnapshotView): SnapshotView {
    return { ...view, replication: this.#replicas.progressOf(view.snapshotId) };
  }

  async #require(machineId: string): Promise<MachineRecord> {
    const record = await readRecord(this.#ctx.layout, machineId);
    if (record) return record;
    throw new HostdError('not_found', { message: `there is no machine ${machineId} on this host`, phase: 'machine.find' });
  }

  #view(record: MachineRecord): MachineView {
    return toMachineView(record, this.#ctx.connected.get(record.machineId) ?? null);
  }

  /** Machines that stand still for want of space go on once there is some. Costs nothing while none does. */
  async #goOnWithSpace(): Promise<void> {
    const stalled = [...this.#ctx.connected].filter(([, vm]) => vm.isStalled);
    if (stalled.length === 0 || (await freeDataBytes(this.#ctx.layout)) < GO_ON_FREE_BYTES) return;
    for (const [machineId, vm] of stalled) {
      this.#ctx.log.info({ event: 'machine.goes_on', machineId }, 'there is space again for a machine that stood still');
      await this.#ctx.locks.run(machineId, async () => {
        if (vm.isStalled) await vm.run();
      });
    }
  }

  async #tidyUp(): Promise<void> {
    for (const machineId of this.#ctx.connected.keys())
      await capQemuLog(this.#ctx.layout.machine(machineId)).catch(() => undefined);
  }
}

async function availableMiB(): Promise<number> {
  const text = await readFile('/proc/meminfo', 'utf8');
  return Math.floor(Number(/^MemAvailable:\s+(\d+) kB/m.exec(text)?.[1] ?? 0) / 1024);
}
