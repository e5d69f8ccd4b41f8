import { mkdir, readdir, readFile, rename, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createMachineSchema, holdsMemory, type MachineSource } from '../contract/machines.ts';
import { armFault } from '../fault/fault-point.ts';
import { requireSnapshot, writeManifest } from '../storage/snapshots.ts';
import type { Machines } from './machines.ts';
import type { FakeGuestSide } from './testing/fake-guest-side.ts';
import { aRequest, IMAGE_ID, makeFakeWorld } from './testing/fake-world.ts';

const MACHINE = 'mch_0000000001';
const OTHER = 'mch_0000000002';
const SNAPSHOT = 'snp_0000000001';
const SECOND = 'snp_0000000002';
const IMAGE = { kind: 'image' } as const;

let world: Awaited<ReturnType<typeof makeFakeWorld>>;
let machines: Machines;
let guest: FakeGuestSide;

beforeEach(async () => {
  world = await makeFakeWorld();
  ({ machines, guest } = await world.open());
});
afterEach(() => world.remove());

const alive = () => [...world.host.processes.values()].filter((process) => process.state !== 'ended');

describe('creating a machine', () => {
  it('refuses a snapshot that is not there and leaves nothing behind', async () => {
    await expect(machines.create(MACHINE, aRequest({ kind: 'fork', snapshotId: SNAPSHOT }))).rejects.toMatchObject({
      code: 'not_found',
    });
    expect(await readdir(world.layout.machines)).toEqual([]);
  });

  it('refuses an image that is not built and names the command', async () => {
    const refuses = (source: MachineSource, command: string) =>
      expect(machines.create(MACHINE, aRequest(source))).rejects.toMatchObject({
        code: 'missing_dependency',
        message: expect.stringContaining(command),
      });
    await refuses({ kind: 'image', variant: 'desktop' }, 'build.ts desktop');
    expect(
      createMachineSchema.safeParse({ ...aRequest(IMAGE), source: { kind: 'image', variant: 'desktp' } }).error?.message,
    ).toContain('there is no image \\"desktp\\"; there are base, desktop, docker');
    await rm(world.layout.image(IMAGE_ID).manifest);
    await refuses(IMAGE, 'build.ts base');
  });

  it('refuses more memory than the host has', async () => {
    const request = { ...aRequest(IMAGE), memoryMiB: 65_536 };
    await expect(machines.create(MACHINE, request)).rejects.toMatchObject({ code: 'no_capacity' });
  });

  it('leaves nothing behind when the guest side fails', async () => {
    guest.onReady = () => {
      throw new Error('no SSH');
    };
    await expect(machines.create(MACHINE, aRequest(IMAGE))).rejects.toThrow('no SSH');
    expect(alive()).toEqual([]);
    expect(await machines.list()).toEqual([]);
    expect(await readdir(world.layout.trash)).toEqual([]);
  });

  it('says what the guest last printed when it does not come up', async () => {
    guest.onReady = () => {
      const [process] = alive();
      process!.console = 'Kernel panic - not syncing';
      world.host.crash(process!.ref);
      throw new Error('no SSH');
    };
    const failed = machines.create(MACHINE, aRequest(IMAGE));
    await expect(failed).rejects.toMatchObject({
      message: expect.stringContaining('crashed'),
      tail: 'Kernel panic - not syncing',
    });
    expect(await readdir(world.layout.machines)).toEqual([]);
  });

  it('attaches the guest side before the CPUs run and reports a running machine', async () => {
    const view = await machines.create(MACHINE, aRequest(IMAGE));
    expect(view).toMatchObject({ machineId: MACHINE, state: 'running', lease: 1, accelerator: 'tcg', exitReason: null });
    expect(view.bootId).toMatch(/^[0-9a-f-]{36}$/);
    expect(Object.keys(view.timingsMs)).toEqual(['qemu', 'running', 'guest', 'ssh']);
    expect(guest.calls).toEqual(['attach image', 'ready']);
  });

  it('is safe to repeat, also at the same time', async () => {
    const [first, second] = await Promise.all([
      machines.create(MACHINE, aRequest(IMAGE)),
      machines.create(MACHINE, aRequest(IMAGE)),
    ]);
    expect(second).toEqual(first);
    expect(alive()).toHaveLength(1);
  });

  it('refuses the same id from another source', async () => {
    await machines.create(MACHINE, aRequest(IMAGE));
    const other = machines.create(MACHINE, aRequest({ kind: 'disk', snapshotId: SNAPSHOT }));
    await expect(other).rejects.toMatchObject({ code: 'conflict' });
  });

  it('keeps what it knows of the machine closed to other users', async () => {
    await machines.create(MACHINE, aRequest(IMAGE));
    expect((await stat(world.layout.machine(MACHINE).record)).mode & 0o777).toBe(0o600);
    expect((await stat(world.layout.machines)).mode & 0o777).toBe(0o700);
  });
});

describe('leases', () => {
  it('are refused when lower than the highest seen, for every verb', async () => {
    await machines.create(MACHINE, aRequest(IMAGE, 5));
    await expect(machines.create(MACHINE, aRequest(IMAGE, 4))).rejects.toMatchObject({ code: 'stale_lease' });
    await expect(machines.suspend(MACHINE, { lease: 4, snapshotId: SNAPSHOT })).rejects.toMatchObject({ code: 'stale_lease' });
    await expect(machines.remove(MACHINE, 4)).rejects.toMatchObject({ code: 'stale_lease' });
    expect((await machines.create(MACHINE, aRequest(IMAGE, 6))).lease).toBe(6);
  });

  it('outlive the machine and hostd, so that a late verb does not bring it back', async () => {
    await machines.create(MACHINE, aRequest(IMAGE, 5));
    await machines.remove(MACHINE, 5);
    ({ machines } = await world.open());
    await expect(machines.create(MACHINE, aRequest(IMAGE, 4))).rejects.toMatchObject({ code: 'stale_lease' });
  });
});

describe('suspending a machine', () => {
  it('leaves no process, no machine and a whole snapshot', async () => {
    const created = await machines.create(MACHINE, aRequest(IMAGE));
    const { snapshot, processGone } = await machines.suspend(MACHINE, { lease: 1, snapshotId: SNAPSHOT });
    expect(processGone).toBe(true);
    expect(alive()).toEqual([]);
    expect(await machines.list()).toEqual([]);
    expect(snapshot.manifest).toMatchObject({ machineId: MACHINE, bootId: created.bootId, parentSnapshotId: null });
    expect(Object.keys(snapshot.manifest)).not.toContain('carried');
    expect(await machines.snapshots()).toEqual([snapshot]);
    expect(guest.calls).toEqual(['attach image', 'ready', 'beforeSuspend', 'gone']);
  });

  it('is safe to repeat', async () => {
    await machines.create(MACHINE, aRequest(IMAGE));
    const first = await machines.suspend(MACHINE, { lease: 1, snapshotId: SNAPSHOT });
    const again = await machines.suspend(MACHINE, { lease: 1, snapshotId: SNAPSHOT });
    expect(again).toEqual(first);
  });

  it('refuses a snapshot id that is taken', async () => {
    await machines.create(MACHINE, aRequest(IMAGE));
    await machines.suspend(MACHINE, { lease: 1, snapshotId: SNAPSHOT });
    await machines.create(OTHER, aRequest({ kind: 'fork', snapshotId: SNAPSHOT }));
    await expect(machines.suspend(OTHER, { lease: 1, snapshotId: SNAPSHOT })).rejects.toMatchObject({ code: 'conflict' });
  });

  it('lets the machine run on when the disk is full, and no snapshot exists', async () => {
    await machines.create(MACHINE, aRequest(IMAGE));
    await symlink('/dev/full', world.layout.machine(MACHINE).vm.deviceState);
    await expect(machines.suspend(MACHINE, { lease: 1, snapshotId: SNAPSHOT })).rejects.toMatchObject({ code: 'disk_full' });
    expect((await machines.get(MACHINE)).state).toBe('running');
    expect(await machines.snapshots()).toEqual([]);
    expect(guest.calls.slice(-3)).toEqual(['gone', 'attach adopted', 'ready']);
    expect((await machines.suspend(MACHINE, { lease: 1, snapshotId: SNAPSHOT })).processGone).toBe(true);
  });

  it('lets the machine run on when the disk fails before anything was saved', async () => {
    await machines.create(MACHINE, aRequest(IMAGE));
    armFault({ point: 'suspend.recorded', action: 'ENOSPC' });
    await expect(machines.suspend(MACHINE, { lease: 1, snapshotId: SNAPSHOT })).rejects.toMatchObject({ code: 'disk_full' });
    expect((await machines.get(MACHINE)).state).toBe('running');
  });

  it('leaves an exited machine exited when its disk cannot be kept', async () => {
    await machines.create(MACHINE, aRequest(IMAGE));
    armFault({ point: 'suspend.recorded', action: 'ENOSPC' });
    const drop = { lease: 1, snapshotId: SNAPSHOT, memory: 'drop' } as const;
    await expect(machines.suspend(MACHINE, drop)).rejects.toMatchObject({ code: 'disk_full' });
    expect((await machines.get(MACHINE)).state).toBe('exited');
    expect((await machines.suspend(MACHINE, drop)).processGone).toBe(true);
  });

  it.each(['suspend.manifest_written', 'suspend.qemu_gone', 'suspend.renamed'] as const)(
    'is finished by itself when the disk fails for a moment at %s',
    async (point) => {
      await machines.create(MACHINE, aRequest(IMAGE));
      armFault({ point, action: 'ENOSPC' });
      await expect(machines.suspend(MACHINE, { lease: 1, snapshotId: SNAPSHOT })).rejects.toMatchObject({ code: 'disk_full' });
      await vi.waitFor(async () => expect(await machines.list()).toEqual([]), 10_000);
      expect((await machines.snapshots()).map(({ snapshotId }) => snapshotId)).toEqual([SNAPSHOT]);
      expect((await machines.suspend(MACHINE, { lease: 1, snapshotId: SNAPSHOT })).processGone).toBe(true);
    },
  );

  it.each(['suspend.manifest_written', 'suspend.qemu_gone', 'suspend.renamed', 'suspend.machine_discarded'] as const)(
    'is finished by the next try when the disk fails at %s',
    async (point) => {
      await machines.create(MACHINE, aRequest(IMAGE));
      armFault({ point, action: 'EIO' });
      await expect(machines.suspend(MACHINE, { lease: 1, snapshotId: SNAPSHOT })).rejects.toMatchObject({ message: /EIO/ });
      if (point !== 'suspend.machine_discarded') {
        const other = machines.suspend(MACHINE, { lease: 1, snapshotId: SECOND });
        await expect(other).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining(SNAPSHOT) });
      }
      const { snapshot, processGone } = await machines.suspend(MACHINE, { lease: 1, snapshotId: SNAPSHOT });
      expect(processGone).toBe(true);
      expect(snapshot.snapshotId).toBe(SNAPSHOT);
      expect(await machines.list()).toEqual([]);
    },
  );
});

describe('a checkpoint', () => {
  const checkpoint = (lease = 1) => machines.checkpoint(MACHINE, { lease, snapshotId: SNAPSHOT });
  const staging = () => stat(world.layout.machine(MACHINE).checkpoint.dir);

  beforeEach(async () => {
    await machines.create(MACHINE, aRequest(IMAGE));
  });

  it('is a whole snapshot of a machine that runs on untouched', async () => {
    const before = await machines.get(MACHINE);
    const { snapshot, stoppedMs } = await checkpoint();
    expect(stoppedMs).toBeGreaterThan(0);
    expect(Object.keys(snapshot.manifest.files)).toEqual(['memory', 'disk', 'deviceState']);
    expect(await machines.snapshots()).toEqual([snapshot]);
    expect(await machines.get(MACHINE)).toEqual(before);
    expect(alive()[0]!.state).toBe('running');
    expect(guest.calls).toEqual(['attach image', 'ready']);
    await expect(staging()).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('is safe to repeat, needs the lease and a running machine', async () => {
    const { snapshot } = await checkpoint();
    expect(await checkpoint()).toEqual({ snapshot, stoppedMs: null });
    await machines.create(MACHINE, aRequest(IMAGE, 3));
    await expect(checkpoint(2)).rejects.toMatchObject({ code: 'stale_lease' });
    world.host.crash((await machines.get(MACHINE)).process!);
    await vi.waitFor(async () => expect((await machines.get(MACHINE)).state).toBe('exited'));
    const late = machines.checkpoint(MACHINE, { lease: 3, snapshotId: SECOND });
    await expect(late).rejects.toMatchObject({ code: 'conflict' });
  });

  it('that fails leaves nothing behind, and the machine running', async () => {
    // In the way of the rename.
    await mkdir(path.join(world.layout.snapshot(SNAPSHOT).dir, 'taken'), { recursive: true });
    await expect(checkpoint()).rejects.toThrow();
    await expect(staging()).rejects.toMatchObject({ code: 'ENOENT' });
    expect(alive()[0]!.state).toBe('running');
  });

  it('that a hostd left half done is discarded by the next, and the machine runs on', async () => {
    machines.close();
    await mkdir(world.layout.machine(MACHINE).checkpoint.dir);
    alive()[0]!.state = 'paused';
    const next = await world.open();
    await expect(staging()).rejects.toMatchObject({ code: 'ENOENT' });
    expect(alive()[0]!.state).toBe('running');
    expect(await next.machines.snapshots()).toEqual([]);
  });

  it('can be gone back to, by its own machine only', async () => {
    const before = await machines.get(MACHINE);
    await checkpoint();
    const back = await machines.rewind(MACHINE, { lease: 2, snapshotId: SNAPSHOT });
    expect(back).toMatchObject({ machineId: MACHINE, lease: 2, state: 'running', bootId: before.bootId });
    expect(back.process).not.toEqual(before.process);
    expect(alive()).toHaveLength(1);
    await machines.create(OTHER, aRequest({ kind: 'fork', snapshotId: SNAPSHOT }));
    const foreign = machines.rewind(OTHER, { lease: 1, snapshotId: SNAPSHOT });
    await expect(foreign).rejects.toMatchObject({ code: 'conflict' });
  });

  it('that cannot be loaded here is not gone back to, and the machine runs on', async () => {
    await checkpoint();
    const manifest = await requireSnapshot(world.layout, SNAPSHOT);
    await writeManifest(world.layout, world.layout.snapshot(SNAPSHOT), { ...manifest, stateFormat: 'migration' });
    const refused = machines.rewind(MACHINE, { lease: 1, snapshotId: SNAPSHOT });
    await expect(refused).rejects.toMatchObject({ code: 'incompatible' });
    expect(alive()[0]!.state).toBe('running');
  });

  it('is gone back to at the second try when the disk failed at the first; until then the machine has exited', async () => {
    await checkpoint();
    armFault({ point: 'rewind.qemu_gone', action: 'EIO' });
    const rewind = () => machines.rewind(MACHINE, { lease: 1, snapshotId: SNAPSHOT });
    await expect(rewind()).rejects.toMatchObject({ message: /EIO/ });
    const { state, process, exitReason } = await machines.get(MACHINE);
    expect([state, process, exitReason]).toEqual(['exited', null, expect.stringContaining('EIO')]);
    expect((await rewind()).state).toBe('running');
  });

  it('is what a machine that has crashed goes back to', async () => {
    await checkpoint();
    world.host.crash((await machines.get(MACHINE)).process!);
    await vi.waitFor(async () => expect((await machines.get(MACHINE)).state).toBe('exited'));
    expect((await machines.rewind(MACHINE, { lease: 1, snapshotId: SNAPSHOT })).state).toBe('running');
  });
});

describe('snapshots', () => {
  beforeEach(async () => {
    await machines.create(MACHINE, aRequest(IMAGE));
    await machines.suspend(MACHINE, { lease: 1, snapshotId: SNAPSHOT });
  });

  it('go on where they were, with what the guest side left for itself', async () => {
    const [snapshot] = await machines.snapshots();
    const resumed = await machines.create(MACHINE, aRequest({ kind: 'resume', snapshotId: SNAPSHOT }, 2));
    expect(resumed.bootId).toBe(snapshot?.manifest.bootId);
    expect(Object.keys(resumed.timingsMs)).toEqual(['qemu', 'loaded', 'running', 'guest']);
    expect(guest.machines.get(MACHINE)?.carried).toBe('SSH-2.0-Fake\r\n');
    const next = await machines.suspend(MACHINE, { lease: 2, snapshotId: SECOND });
    expect(next.snapshot.manifest.parentSnapshotId).toBe(SNAPSHOT);
  });

  it('can be forked many times and stay as they are', async () => {
    const before = await readFile(world.layout.snapshot(SNAPSHOT).deviceState);
    await Promise.all([MACHINE, OTHER].map((id) => machines.create(id, aRequest({ kind: 'fork', snapshotId: SNAPSHOT }, 2))));
    expect(await readFile(world.layout.snapshot(SNAPSHOT).deviceState)).toEqual(before);
    const guests = alive().map(({ guest: { files } }) => files);
    expect(new Set(guests.map((files) => files['/etc/machine-id'])).size).toBe(2);
    expect(new Set(guests.map((files) => files['/etc/warren/ssh_host_ed25519_key'])).size).toBe(2);
  });

  it('do not exist without their manifest', async () => {
    await rm(world.layout.snapshot(SNAPSHOT).manifest);
    expect(await machines.snapshots()).toEqual([]);
    const refused = machines.create(OTHER, aRequest({ kind: 'resume', snapshotId: SNAPSHOT }));
    await expect(refused).rejects.toMatchObject({ code: 'not_found' });
  });

  it('are refused, disk included, when one number of their manifest was changed', async () => {
    const file = world.layout.snapshot(SNAPSHOT).manifest;
    await writeFile(file, (await readFile(file, 'utf8')).replace('"memoryMiB": 256', '"memoryMiB": 512'));
    for (const kind of ['resume', 'fork', 'disk'] as const) {
      const refused = machines.create(OTHER, aRequest({ kind, snapshotId: SNAPSHOT }));
      await expect(refused).rejects.toMatchObject({
        code: 'incompatible',
        message: expect.stringMatching(/required .* signed by this host, found .* changed .*; use another/),
      });
    }
    expect(await machines.snapshots()).toEqual([]);
    expect(world.host.processes.size).toBe(1);
  });

  it('are refused under the name of another snapshot', async () => {
    await rename(world.layout.snapshot(SNAPSHOT).dir, world.layout.snapshot(SECOND).dir);
    const refused = machines.create(OTHER, aRequest({ kind: 'resume', snapshotId: SECOND }));
    await expect(refused).rejects.toMatchObject({ code: 'incompatible', message: expect.stringContaining(SNAPSHOT) });
    expect(await machines.snapshots()).toEqual([]);
  });

  it('are refused by a host with another key', async () => {
    await writeFile(world.layout.hostKey, 'ab'.repeat(32));
    const refused = machines.create(OTHER, aRequest({ kind: 'resume', snapshotId: SNAPSHOT }));
    await expect(refused).rejects.toMatchObject({ code: 'incompatible', message: expect.stringContaining('another host') });
  });

  it('are refused when their disk was cut short', async () => {
    await truncate(world.layout.snapshot(SNAPSHOT).disk, 4096);
    const refused = machines.create(OTHER, aRequest({ kind: 'disk', snapshotId: SNAPSHOT }));
    await expect(refused).rejects.toMatchObject({ code: 'incompatible', message: expect.stringContaining('found 4096') });
  });

  it('from before there were signatures are signed at the next start', async () => {
    const files = world.layout.snapshot(SNAPSHOT);
    const { manifest } = JSON.parse(await readFile(files.manifest, 'utf8'));
    await writeFile(files.manifest, JSON.stringify(manifest));
    await rm(world.layout.hostKey);
    const next = await world.open();
    expect((await stat(world.layout.hostKey)).mode & 0o777).toBe(0o600);
    expect((await next.machines.create(OTHER, aRequest({ kind: 'resume', snapshotId: SNAPSHOT }))).state).toBe('running');
  });

  it('are refused when their device state was changed, and nothing is left of the attempt', async () => {
    const file = world.layout.snapshot(SNAPSHOT).deviceState;
    const bytes = await readFile(file);
    bytes[10]! ^= 1;
    await writeFile(file, bytes);
    const refused = machines.create(OTHER, aRequest({ kind: 'resume', snapshotId: SNAPSHOT }));
    await expect(refused).rejects.toMatchObject({ code: 'incompatible' });
    expect(alive()).toEqual([]);
    expect(await machines.list()).toEqual([]);
  });

  it('are refused under another accelerator, and the message says what to do; their disk still boots', async () => {
    const other = await world.open(guest, {
      accelerator: 'kvm',
      qemuVersion: '7.2.0',
      machineType: 'pc-q35-7.2',
      cpuModel: 'host:x',
    });
    const refused = other.machines.create(OTHER, aRequest({ kind: 'resume', snapshotId: SNAPSHOT }));
    await expect(refused).rejects.toMatchObject({
      code: 'incompatible',
      message: expect.stringMatching(/accelerator tcg, found kvm.*disk/),
    });
    expect((await other.machines.create(OTHER, aRequest({ kind: 'disk', snapshotId: SNAPSHOT }))).state).toBe('running');
  });

  it('are removed whole, and removing again is fine', async () => {
    await machines.removeSnapshot(SNAPSHOT);
    await machines.removeSnapshot(SNAPSHOT);
    expect(await readdir(world.layout.snapshots)).toEqual([]);
    expect(await readdir(world.layout.trash)).toEqual([]);
  });
});

describe('processes that wait to become machines', () => {
  const waiting = () => alive().filter(({ socketDir }) => path.basename(socketDir).startsWith('spr_'));
  const openWith = async (spares: number) => {
    machines.close();
    const opened = await world.open(undefined, undefined, spares);
    ({ machines, guest } = opened);
    return opened.driver;
  };

  it('are of the size of the newest snapshot, become the machine that is resumed, and are made anew', async () => {
    await machines.create(MACHINE, aRequest(IMAGE));
    await machines.suspend(MACHINE, { lease: 1, snapshotId: SNAPSHOT });
    await openWith(2);
    await vi.waitFor(() => expect(waiting()).toHaveLength(2));
    const pids = waiting().map(({ ref }) => ref.pid);
    const resumed = await machines.create(MACHINE, aRequest({ kind: 'resume', snapshotId: SNAPSHOT }, 2));
    expect(pids).toContain(resumed.process?.pid);
    await vi.waitFor(() => expect(waiting()).toHaveLength(3));
    // One of the three is the machine now; it is taken up by that name, and ends like any other.
    await openWith(0);
    expect(waiting().map(({ ref }) => ref)).toEqual([resumed.process]);
    expect((await machines.get(MACHINE)).state).toBe('running');
    await machines.suspend(MACHINE, { lease: 2, snapshotId: SECOND });
    expect(alive()).toEqual([]);
    expect([...world.host.held]).toEqual([]);
    expect(await readdir(world.layout.runDir)).toEqual([]);
  });

  it('are passed over when they have died, and none is needed', async () => {
    await machines.create(MACHINE, aRequest(IMAGE));
    await machines.suspend(MACHINE, { lease: 1, snapshotId: SNAPSHOT });
    await openWith(1);
    await vi.waitFor(() => expect(waiting()).toHaveLength(1));
    world.host.crash(waiting()[0]!.ref);
    expect((await machines.create(MACHINE, aRequest({ kind: 'resume', snapshotId: SNAPSHOT }, 2))).state).toBe('running');
  });

  it('may die at the last moment: the machine gets a process of its own, and nothing of the dead one is left', async () => {
    await machines.create(MACHINE, aRequest(IMAGE));
    await machines.suspend(MACHINE, { lease: 1, snapshotId: SNAPSHOT });
    const driver = await openWith(1);
    await vi.waitFor(() => expect(waiting()).toHaveLength(1));
    const { ref, socketDir } = waiting()[0]!;
    world.host.crash(ref);
    vi.spyOn(driver, 'isAlive').mockResolvedValueOnce(true);
    const resumed = await machines.create(MACHINE, aRequest({ kind: 'resume', snapshotId: SNAPSHOT }, 2));
    expect(resumed).toMatchObject({ state: 'running', process: { pid: expect.any(Number) } });
    expect(resumed.process).not.toEqual(ref);
    expect(world.host.held.has(socketDir)).toBe(false);
    await openWith(0);
    expect((await machines.get(MACHINE)).process).toEqual(resumed.process);
  });
});

describe('a machine that ends by itself', () => {
  it('is exited with the reason, and can be removed', async () => {
    const view = await machines.create(MACHINE, aRequest(IMAGE));
    world.host.crash(view.process!);
    await vi.waitFor(async () => expect((await machines.get(MACHINE)).state).toBe('exited'));
    expect(await machines.get(MACHINE)).toMatchObject({ process: null, exitReason: 'crashed' });
    await machines.remove(MACHINE, 1);
    await expect(machines.get(MACHINE)).rejects.toMatchObject({ code: 'not_found' });
  });

  it('can be kept as a snapshot of its disk, which boots and does not resume', async () => {
    const view = await machines.create(MACHINE, aRequest(IMAGE));
    world.host.crash(view.process!);
    await vi.waitFor(async () => expect((await machines.get(MACHINE)).state).toBe('exited'));
    const { snapshot } = await machines.suspend(MACHINE, { lease: 1, snapshotId: SNAPSHOT });
    expect(Object.keys(snapshot.manifest.files)).toEqual(['disk']);
    expect(await machines.list()).toEqual([]);
    const resume = machines.create(MACHINE, aRequest({ kind: 'resume', snapshotId: SNAPSHOT }));
    await expect(resume).rejects.toMatchObject({ code: 'incompatible' });
    expect((await machines.create(MACHINE, aRequest({ kind: 'disk', snapshotId: SNAPSHOT }))).state).toBe('running');
  });
});

describe('a machine that cannot be removed because the disk fails', () => {
  it('has exited, and is removed when it is asked for again', async () => {
    await machines.create(MACHINE, aRequest(IMAGE));
    armFault({ point: 'remove.qemu_gone', action: 'ENOSPC' });
    await expect(machines.remove(MACHINE, 1)).rejects.toMatchObject({ code: 'disk_full' });
    expect(await machines.get(MACHINE)).toMatchObject({ state: 'exited', process: null });
    expect(alive()).toEqual([]);
    await machines.remove(MACHINE, 1);
    expect(await machines.list()).toEqual([]);
  });
});

describe('a machine that is to keep its disk alone', () => {
  it('is ended, and becomes a snapshot that boots; asking again is fine', async () => {
    await machines.create(MACHINE, aRequest(IMAGE));
    const asked = { lease: 1, snapshotId: SNAPSHOT, memory: 'drop' } as const;
    const { snapshot, processGone } = await machines.suspend(MACHINE, asked);
    expect([processGone, holdsMemory(snapshot.manifest), alive()]).toEqual([true, false, []]);
    expect((await machines.suspend(MACHINE, asked)).snapshot).toEqual(snapshot);
    expect((await machines.create(MACHINE, aRequest({ kind: 'disk', snapshotId: SNAPSHOT }))).state).toBe('running');
  });
});

describe('a hostd that starts after another one died', () => {
  const rewrite = async (change: (record: Record<string, unknown>) => void) => {
    const file = world.layout.machine(MACHINE).record;
    const record = JSON.parse(await readFile(file, 'utf8'));
    change(record);
    await writeFile(file, JSON.stringify(record));
  };

  it('takes up what runs', async () => {
    const before = await machines.create(MACHINE, aRequest(IMAGE));
    const next = await world.open();
    expect(await next.machines.get(MACHINE)).toEqual(before);
    expect(next.guest.calls).toEqual(['attach adopted', 'ready']);
    await next.machines.suspend(MACHINE, { lease: 1, snapshotId: SNAPSHOT });
    expect(alive()).toEqual([]);
  });

  it('writes down what died meanwhile', async () => {
    const view = await machines.create(MACHINE, aRequest(IMAGE));
    machines.close();
    world.host.crash(view.process!);
    const next = await world.open();
    expect(await next.machines.get(MACHINE)).toMatchObject({
      state: 'exited',
      exitReason: expect.stringContaining('not running'),
    });
  });

  it('does not take another process with the same pid for the machine', async () => {
    await machines.create(MACHINE, aRequest(IMAGE));
    machines.close();
    await rewrite((record) => Object.assign(record, { process: { ...(record.process as object), startTimeTicks: '1' } }));
    const next = await world.open();
    expect((await next.machines.get(MACHINE)).state).toBe('exited');
  });

  it('removes what was half made, its process included', async () => {
    await machines.create(MACHINE, aRequest(IMAGE));
    machines.close();
    await rewrite((record) => Object.assign(record, { phase: 'starting', process: null }));
    await mkdir(path.join(world.layout.machines, OTHER));
    const next = await world.open();
    expect(await next.machines.list()).toEqual([]);
    expect(await readdir(world.layout.machines)).toEqual([]);
    expect(alive()).toEqual([]);
  });

  it('lets a machine run on that was stopped for a suspend without a manifest', async () => {
    await machines.create(MACHINE, aRequest(IMAGE));
    machines.close();
    await rewrite((record) => Object.assign(record, { phase: 'suspending', snapshotId: SNAPSHOT }));
    alive()[0]!.state = 'paused';
    const next = await world.open();
    expect((await next.machines.get(MACHINE)).state).toBe('running');
    expect(alive()[0]!.state).toBe('running');
    expect(await next.machines.snapshots()).toEqual([]);
  });

  it('finishes a suspend whose manifest was written', async () => {
    await machines.create(MACHINE, aRequest(IMAGE));
    await machines.suspend(MACHINE, { lease: 1, snapshotId: SNAPSHOT });
    // The same state of the disk as if hostd had died right before the rename, QEMU still alive.
    const resumed = await machines.create(MACHINE, aRequest({ kind: 'resume', snapshotId: SNAPSHOT }, 2));
    machines.close();
    await rewrite((record) => Object.assign(record, { phase: 'suspending', snapshotId: SECOND }));
    const manifest = await requireSnapshot(world.layout, SNAPSHOT);
    await writeManifest(world.layout, world.layout.machine(MACHINE).vm, { ...manifest, snapshotId: SECOND });
    const next = await world.open();
    expect(await next.machines.list()).toEqual([]);
    expect((await next.machines.snapshots()).map((one) => one.snapshotId).sort()).toEqual([SNAPSHOT, SECOND]);
    expect(await next.driver.isAlive(resumed.process!)).toBe(false);
  });
});
