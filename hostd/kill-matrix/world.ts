import type { MachineSource, MachineView, SnapshotView } from '../contract/machines.ts';
import { HostdProcess } from '../machines/testing/hostd-process.ts';

const PASSING = ['starting', 'suspending'];
const SETTLE_DEADLINE_MS = 120_000;
const SETTLE_POLL_MS = 20;
/** What must still be true of every machine made from the base: its memory, its disk and a process that it was saved with. */
const PROOF =
  'sha256sum </dev/shm/pattern; sha256sum </root/pattern; cat /proc/sys/kernel/random/boot_id; pgrep -f "^sleep 98765"';
const PLANT =
  'head -c 16M /dev/urandom >/dev/shm/pattern; head -c 4M /dev/urandom >/root/pattern; sync; setsid sleep 98765 >/dev/null 2>&1 & echo';

/** One host with one sleeping base machine, from which every scenario forks what it harms. */
export class World {
  readonly hostd: HostdProcess;
  #base = '';
  #proof = '';
  #ids = 0;

  private constructor(hostd: HostdProcess) {
    this.hostd = hostd;
  }

  /** @param on a hostd that does not run yet; by default one on the file system of this host's data directory */
  static async make(on?: HostdProcess): Promise<World> {
    const world = new World(on ?? (await HostdProcess.make()));
    await world.hostd.start();
    const machineId = world.nextId('mch');
    await world.create(machineId, { kind: 'image' });
    await world.hostd.shell(machineId, PLANT);
    world.#proof = await world.hostd.shell(machineId, PROOF);
    world.#base = world.nextId('snp');
    await world.hostd.call('POST', `machines/${machineId}/suspend`, { lease: 1, snapshotId: world.#base });
    return world;
  }

  nextId(prefix: 'mch' | 'snp'): string {
    this.#ids += 1;
    return `${prefix}_killmatrix${String(this.#ids).padStart(4, '0')}`;
  }

  get forkOfBase(): MachineSource {
    return { kind: 'fork', snapshotId: this.#base };
  }

  create(machineId: string, source: MachineSource, lease = 1, signal?: AbortSignal): Promise<MachineView> {
    const egress = { services: [], allow: [] };
    return this.hostd.call('PUT', `machines/${machineId}`, { lease, source, memoryMiB: 512, egress }, signal);
  }

  async find(machineId: string): Promise<MachineView | null> {
    return (await this.hostd.call<MachineView[]>('GET', 'machines')).find((one) => one.machineId === machineId) ?? null;
  }

  async hasSnapshot(snapshotId: string): Promise<boolean> {
    return (await this.hostd.call<SnapshotView[]>('GET', 'snapshots')).some((one) => one.snapshotId === snapshotId);
  }

  /** @returns what is wrong with a machine that must be what the base was; null when nothing is */
  async whyNotWhole(machineId: string): Promise<string | null> {
    const found = await this.hostd.shell(machineId, PROOF).catch(String);
    return found === this.#proof ? null : `machine ${machineId} is not what it was: ${found}`;
  }

  /** Until no machine is in a passing state: a verb whose caller left goes on. @throws when one stays in it */
  async settle(): Promise<void> {
    for (const deadline = performance.now() + SETTLE_DEADLINE_MS; performance.now() < deadline; ) {
      const machines = await this.hostd.call<MachineView[]>('GET', 'machines');
      if (machines.every(({ state }) => !PASSING.includes(state))) return;
      await new Promise((resolve) => setTimeout(resolve, SETTLE_POLL_MS));
    }
    throw new Error('a machine stays in a passing state');
  }
}
