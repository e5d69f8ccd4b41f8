import type { MachineView } from '../contract/machines.ts';
import { HostdProcess } from '../machines/testing/hostd-process.ts';
import { FaultyDisk } from './faulty-disk.ts';
import { findBroken, lookAround } from './invariants.ts';
import { clean, killProcess, type Subject } from './verbs.ts';
import { World } from './world.ts';

const MIB = 1024 ** 2;
const SLOW_WRITE_MS = 20;
/** Enough for records and logs, less than any machine needs. */
const LEFT_BYTES = 24 * MIB;
const STALL_DEADLINE_MS = 120_000;

export type DiskFault = { name: string; writeDelayMs: number; run: (world: World, disk: FaultyDisk) => Promise<string[]> };

const suspend = (world: World, { machineId, snapshotId }: Subject) =>
  world.hostd.send('POST', `machines/${machineId}/suspend`, { lease: 1, snapshotId });
const subjectOf = (world: World): Subject => ({ machineId: world.nextId('mch'), snapshotId: world.nextId('snp') });

/** Sleeps and wakes for real, and is what it was. */
async function mustSleepAndWake(world: World, subject: Subject): Promise<string[]> {
  const slept = await suspend(world, subject);
  if (!slept.ok) return [`cannot be put to sleep: ${slept.error.message}`];
  await world.create(subject.machineId, { kind: 'resume', snapshotId: subject.snapshotId }, 2);
  const why = await world.whyNotWhole(subject.machineId);
  return why === null ? [] : [why];
}

const WRITE_MORE =
  'setsid sh -c "dd if=/dev/urandom of=/root/more bs=1M count=96 conv=fsync; echo \\$? >/dev/shm/written" >/dev/null 2>&1 & echo';

/** @returns whether the machine was seen to stand still, or not to, in time */
async function becomes(world: World, machineId: string, stalled: boolean): Promise<boolean> {
  for (const deadline = performance.now() + STALL_DEADLINE_MS; performance.now() < deadline; ) {
    const view = await world.find(machineId);
    if (view && (view.stalled !== null) === stalled) return true;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return false;
}

/** What a host's disk does to it, each on a disk of its own. A sentence for everything that is broken afterwards. */
export const DISK_FAULTS: readonly DiskFault[] = [
  {
    name: 'full while a machine is put to sleep',
    writeDelayMs: 0,
    run: async (world, disk) => {
      const subject = subjectOf(world);
      await world.create(subject.machineId, world.forkOfBase);
      const isBig = await world.hostd.shell(subject.machineId, 'head -c 64M /dev/urandom >/dev/shm/more && echo yes');
      const giveBack = await disk.fill(LEFT_BYTES);
      const refused = await suspend(world, subject);
      const broken = findBroken(await lookAround(world.hostd));
      if (isBig !== 'yes') broken.push('the guest could not be given memory to save');
      if (refused.ok) broken.push('a machine was put to sleep on a full disk');
      else if (refused.error.code !== 'disk_full') broken.push(`not said to be the disk: ${refused.error.message}`);
      broken.push(...[await world.whyNotWhole(subject.machineId)].filter((why) => why !== null));
      await giveBack();
      broken.push(...(await mustSleepAndWake(world, subject)));
      await clean(world, subject);
      return broken;
    },
  },
  {
    name: 'full when a machine is asked for',
    writeDelayMs: 0,
    run: async (world, disk) => {
      const subject = subjectOf(world);
      const giveBack = await disk.fill(LEFT_BYTES);
      const refused = await world.create(subject.machineId, world.forkOfBase).then(() => null, String);
      const broken = findBroken(await lookAround(world.hostd));
      if (refused === null) broken.push('a machine was made on a full disk');
      else if (!/disk|space/.test(refused)) broken.push(`not said to be the disk: ${refused}`);
      await giveBack();
      await world.create(subject.machineId, world.forkOfBase);
      broken.push(...[await world.whyNotWhole(subject.machineId)].filter((why) => why !== null));
      await clean(world, subject);
      return broken;
    },
  },
  {
    name: 'full under a running machine',
    writeDelayMs: 0,
    run: async (world, disk) => {
      const subject = subjectOf(world);
      const { machineId } = subject;
      await world.create(machineId, world.forkOfBase);
      const giveBack = await disk.fill(LEFT_BYTES);
      await world.hostd.shell(machineId, WRITE_MORE);
      const broken: string[] = [];
      if (!(await becomes(world, machineId, true)))
        broken.push('a machine whose writes found no space was not said to stand still');
      broken.push(...findBroken(await lookAround(world.hostd)));
      await giveBack();
      if (!(await becomes(world, machineId, false))) broken.push('it stands still though there is space');
      const written = await world.hostd.shell(
        machineId,
        'until [ -e /dev/shm/written ]; do sleep 0.2; done; cat /dev/shm/written',
      );
      if (written !== '0') broken.push(`what the guest wrote meanwhile failed with ${written}`);
      broken.push(...[await world.whyNotWhole(machineId)].filter((why) => why !== null));
      await clean(world, subject);
      return broken;
    },
  },
  {
    name: 'dying while a machine is put to sleep',
    writeDelayMs: 0,
    run: async (world, disk) => {
      const subject = subjectOf(world);
      await world.create(subject.machineId, world.forkOfBase);
      await disk.fail(true);
      const answer = await suspend(world, subject);
      const broken = answer.ok ? ['a snapshot was said to be whole that no disk took'] : [];
      // The disk is replaced, so to say: nothing that runs survives that, what was whole before must.
      await world.hostd.kill();
      await killProcess(world, subject);
      await disk.fail(false);
      await retry(() => disk.unmount());
      await disk.mount();
      await world.hostd.start();
      broken.push(...findBroken(await lookAround(world.hostd)));
      const state = (await world.hostd.call<MachineView[]>('GET', 'machines')).find(
        ({ machineId }) => machineId === subject.machineId,
      )?.state;
      if (state === 'running') broken.push(`${subject.machineId} has no process and is ${state}`);
      await clean(world, subject);
      const after = subjectOf(world);
      await world.create(after.machineId, world.forkOfBase);
      broken.push(...[await world.whyNotWhole(after.machineId)].filter((why) => why !== null));
      broken.push(...(await mustSleepAndWake(world, after)));
      await clean(world, after);
      return broken;
    },
  },
  {
    name: `slow: every write takes ${SLOW_WRITE_MS} ms more`,
    writeDelayMs: SLOW_WRITE_MS,
    run: async (world) => {
      const subject = subjectOf(world);
      await world.create(subject.machineId, world.forkOfBase);
      const broken = await mustSleepAndWake(world, subject);
      broken.push(...findBroken(await lookAround(world.hostd)));
      await clean(world, subject);
      return broken;
    },
  },
];

/** The kernel lets go of a killed process's files a moment after it is gone. */
async function retry(unmount: () => Promise<void>): Promise<void> {
  for (let left = 50; ; left -= 1) {
    const error = await unmount().then(
      () => null,
      (reason: unknown) => reason,
    );
    if (error === null) return;
    if (left === 0) throw error;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Runs one of them on a disk made for it. */
export async function runDiskFault(fault: DiskFault): Promise<string[]> {
  const disk = await FaultyDisk.make(fault);
  try {
    const world = await World.make(await HostdProcess.makeIn(disk.root));
    try {
      return await fault.run(world, disk);
    } finally {
      await disk.fail(false);
      await world.hostd.destroy();
    }
  } finally {
    await disk.destroy();
  }
}
