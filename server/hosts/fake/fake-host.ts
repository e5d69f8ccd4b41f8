import { randomUUID } from 'node:crypto';
import type { EgressFeed } from '../../../hostd/contract/egress.ts';
import type { HostdErrorCode } from '../../../hostd/contract/errors.ts';
import { IMAGE_VARIANTS, type ImageVariant, type ImageView } from '../../../hostd/contract/images.ts';
import {
  type Accelerator,
  type CheckpointMachine,
  type CheckpointResult,
  type CreateMachine,
  type Exec,
  type ExecResult,
  type HostView,
  holdsMemory,
  type RewindMachine,
  type SnapshotView,
  type SuspendMachine,
  type SuspendResult,
} from '../../../hostd/contract/machines.ts';
import type { Collected, FetchSnapshot, Replicate } from '../../../hostd/contract/replicas.ts';
import { CONTRACT_VERSION } from '../../../hostd/contract/version.ts';
import { FakeGuest, type FakeMachine, type FakeProgram, type FakeSnapshot, runProgram } from './fake-machine.ts';

/** A refusal of the fake, with a code of the contract. */
export class FakeRefusal extends Error {
  readonly code: HostdErrorCode;
  constructor(code: HostdErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

export function anImage(variant: ImageVariant, state: ImageView['state']): ImageView {
  const contentId = state === 'ready' ? 'c0ffee'.repeat(10) : null;
  return { variant, imageId: `img_${variant}`, state, contentId, storedBytes: 0, builtAt: null, stage: null, failure: null };
}

/**
 * hostd's verbs over memory, for tests of everything above them: same states, same fencing, same idempotence, no QEMU.
 * `faults` makes the next call of a verb fail; `calls` tells what was asked.
 */
export class FakeHost {
  /** `kvm` makes it a host on which organizations that do not trust each other may meet. */
  accelerator: Accelerator = 'tcg';
  readonly machines = new Map<string, FakeMachine>();
  readonly snapshots = new Map<string, FakeSnapshot>();
  readonly programs = new Map<string, FakeProgram>();
  readonly calls: string[] = [];
  readonly faults = new Map<string, FakeRefusal>();
  /** Every image is there, until a test says otherwise. */
  images: ImageView[] = IMAGE_VARIANTS.map((variant) => anImage(variant, 'ready'));
  /** What the next question about egress is answered, and what was acknowledged. */
  feed: EgressFeed = { waiting: [], entries: [] };
  readonly collected: Record<string, number>[] = [];
  /** Set to have copies made, each whole at once. */
  objectStore: string | null = null;
  /** Called after a guest came to be by a cold boot, before the caller hears of it. */
  onBoot: (guest: FakeGuest) => void = () => {};

  onCreate: (machine: FakeMachine) => void = () => {};

  private note(verb: string, id = '') {
    this.calls.push(id ? `${verb} ${id}` : verb);
    const fault = this.faults.get(verb);
    if (!fault) return;
    this.faults.delete(verb);
    throw fault;
  }

  host(): HostView {
    this.note('host');
    return {
      hostId: 'hst_fakefakefake',
      version: 'fake',
      contractVersion: CONTRACT_VERSION,
      accelerator: this.accelerator,
      acceleratorReason: 'a fake needs none',
      qemuVersion: '0',
      cores: 2,
      memoryMiB: 8192,
      memoryFreeMiB: 4096,
      diskFreeBytes: 1e10,
      reflink: true,
      images: this.images,
      objectStore: this.objectStore,
      machines: this.machines.size,
      isolationLacks: [],
    };
  }

  machine(id: string): FakeMachine {
    const machine = this.machines.get(id);
    if (!machine) throw new FakeRefusal('not_found', `no machine ${id}`);
    return machine;
  }

  create(id: string, created: CreateMachine): FakeMachine {
    this.note('create', id);
    const existing = this.machines.get(id);
    if (existing) {
      if (created.lease < existing.view.lease) throw new FakeRefusal('stale_lease', `lease ${created.lease} is stale`);
      return existing;
    }
    const activity = { cpuMs: 0, egressBytes: 0 };
    const machine: FakeMachine = { created, guest: this.guestFrom(created), view: this.view(id, created), activity };
    machine.view.bootId = machine.guest.bootId;
    this.machines.set(id, machine);
    this.onCreate(machine);
    return machine;
  }

  /** A build is under way from here on; a test decides how it goes on. */
  buildImage(variant: ImageVariant): ImageView {
    this.note('buildImage', variant);
    const found = this.images.find((image) => image.variant === variant)!;
    if (found.state !== 'ready') Object.assign(found, { state: 'building', stage: found.stage ?? 'starting', failure: null });
    return found;
  }

  private guestFrom({ source }: CreateMachine): FakeGuest {
    if (source.kind === 'image') return this.boot(new FakeGuest(randomUUID()));
    const snapshot = this.snapshots.get(source.snapshotId);
    if (!snapshot) throw new FakeRefusal('not_found', `no snapshot ${source.snapshotId}`);
    if (!snapshot.view.here)
      throw new FakeRefusal('conflict', `snapshot ${source.snapshotId} is in the object store alone: fetch it first`);
    const { bootId, files, memory } = snapshot.guest;
    if (source.kind !== 'disk' && !holdsMemory(snapshot.view.manifest)) {
      throw new FakeRefusal('incompatible', `snapshot ${source.snapshotId} holds no memory`);
    }
    if (source.kind === 'disk') return this.boot(new FakeGuest(randomUUID(), new Map(files)));
    return new FakeGuest(bootId, new Map(files), structuredClone(memory));
  }

  private boot(guest: FakeGuest): FakeGuest {
    this.onBoot(guest);
    return guest;
  }

  private view(machineId: string, created: CreateMachine): FakeMachine['view'] {
    return {
      machineId,
      lease: created.lease,
      state: 'running',
      source: created.source,
      accelerator: 'tcg',
      process: { pid: 1, startTimeTicks: '1' },
      bootId: null,
      memoryMiB: created.memoryMiB,
      vcpus: created.vcpus,
      createdAt: new Date().toISOString(),
      timingsMs: { qemu: 1, loaded: 2, running: 3, guest: 4, ssh: 5 },
      exitReason: null,
      stalled: null,
    };
  }

  suspend(id: string, { lease, snapshotId, memory, replicate }: SuspendMachine): SuspendResult {
    this.note('suspend', id);
    const stored = this.snapshots.get(snapshotId);
    if (stored) return { snapshot: stored.view, releasedMs: 20, processGone: true };
    const machine = this.machine(id);
    if (lease < machine.view.lease) throw new FakeRefusal('stale_lease', `lease ${lease} is stale`);
    const diskAlone = memory === 'drop' || machine.view.state === 'exited';
    this.endMachine(id);
    const snapshot = this.keep(snapshotId, machine, diskAlone);
    if (replicate && this.objectStore !== null) this.replicate(snapshotId, replicate);
    return { snapshot, releasedMs: 20, processGone: true };
  }

  checkpoint(id: string, { lease, snapshotId }: CheckpointMachine): CheckpointResult {
    this.note('checkpoint', id);
    const stored = this.snapshots.get(snapshotId);
    if (stored) return { snapshot: stored.view, stoppedMs: null };
    const machine = this.machine(id);
    if (lease < machine.view.lease) throw new FakeRefusal('stale_lease', `lease ${lease} is stale`);
    return { snapshot: this.keep(snapshotId, machine, false), stoppedMs: 5 };
  }

  rewind(id: string, { lease, snapshotId }: RewindMachine): FakeMachine {
    this.note('rewind', id);
    const { created } = this.machine(id);
    if (!this.snapshots.has(snapshotId)) throw new FakeRefusal('not_found', `no snapshot ${snapshotId}`);
    this.endMachine(id);
    return this.create(id, { ...created, lease, source: { kind: 'resume', snapshotId } });
  }

  private keep(snapshotId: string, machine: FakeMachine, diskAlone: boolean): SnapshotView {
    const { guest } = machine;
    const frozen = new FakeGuest(guest.bootId, new Map(guest.files), diskAlone ? new Map() : structuredClone(guest.memory));
    const view = this.snapshotView(snapshotId, machine, diskAlone);
    this.snapshots.set(snapshotId, { view, guest: frozen });
    return view;
  }

  private snapshotView(snapshotId: string, { view, guest }: FakeMachine, diskAlone: boolean): SnapshotView {
    const manifest: SnapshotView['manifest'] = {
      schemaVersion: 1,
      snapshotId,
      machineId: view.machineId,
      parentSnapshotId: 'snapshotId' in view.source ? view.source.snapshotId : null,
      imageId: 'img_fake',
      qemuVersion: '0',
      machineType: 'fake',
      cpuModel: 'fake',
      accelerator: 'tcg',
      memoryMiB: view.memoryMiB,
      vcpus: view.vcpus,
      bootId: guest.bootId,
      processes: [{ pid: 100, startTimeTicks: '100', user: 'agent', command: 'agent' }],
      listening: [],
      deviceStateSha256: diskAlone ? '' : '0'.repeat(64),
      stateFormat: diskAlone ? null : 'devices',
      changedMemoryBytes: diskAlone ? null : 0,
      files: {},
      createdAt: new Date().toISOString(),
    };
    return { snapshotId, manifest, storedBytes: 1000, durability: 'local', here: true, replica: null, replication: null };
  }

  remove(id: string): void {
    this.note('remove', id);
    if (this.machines.has(id)) this.endMachine(id);
  }

  /** QEMU is gone: readers of its files reach their end. */
  endMachine(id: string): void {
    const machine = this.machine(id);
    this.machines.delete(id);
    machine.guest.emit('ended');
  }

  /** QEMU died by itself: the host still has the machine's disk, and says why. */
  exitMachine(id: string): void {
    const machine = this.machine(id);
    Object.assign(machine.view, { state: 'exited', process: null, exitReason: 'QEMU was ended by SIGKILL' });
    machine.guest.memory = new Map();
    machine.guest.emit('ended');
  }

  snapshot(id: string): SnapshotView {
    const snapshot = this.snapshots.get(id);
    if (!snapshot) throw new FakeRefusal('not_found', `no snapshot ${id}`);
    return snapshot.view;
  }

  /** A copy is whole at once. */
  replicate(id: string, { key }: Replicate): SnapshotView {
    this.note('replicate', id);
    const replicatedAt = new Date().toISOString();
    const replica = { keyId: key.id, layerId: '0'.repeat(64), storedBytes: 100, replicatedAt };
    return Object.assign(this.snapshot(id), { durability: 'replicated', replica });
  }

  fetchSnapshot(id: string, { keys }: FetchSnapshot): SnapshotView {
    this.note('fetchSnapshot', id);
    const view = this.snapshot(id);
    if (!view.here && !keys.some((key) => key.id === view.replica?.keyId)) throw new FakeRefusal('not_found', `no copy of ${id}`);
    return Object.assign(view, { here: true });
  }

  collect(): Collected {
    this.note('collect');
    return { refsKept: this.snapshots.size, refsDropped: 0, condemned: 0, removed: 0, bytesRemoved: 0, bytesKept: 0 };
  }

  evict(id: string): SnapshotView {
    this.note('evict', id);
    const view = this.snapshot(id);
    if (view.durability !== 'replicated') throw new FakeRefusal('conflict', `snapshot ${id} has no copy: replicate it first`);
    return Object.assign(view, { here: false });
  }

  removeSnapshot(id: string): void {
    this.note('removeSnapshot', id);
    this.snapshots.delete(id);
  }

  exec(id: string, exec: Exec): Promise<ExecResult> {
    this.note('exec');
    return runProgram(this.programs, this.machine(id), exec);
  }
}
