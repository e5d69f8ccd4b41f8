import { FAULT_POINTS, type FaultPoint } from '../fault/fault-point.ts';
import { endProcess, findByArgument } from '../hypervisor/qemu/process.ts';
import type { World } from './world.ts';

/** What a scenario harms: ids of its own. */
export type Subject = { machineId: string; snapshotId: string };

/** One verb of hostd, how a caller asks for it, and what must be true once it was asked for again after a fault. */
export type Verb = {
  name: string;
  points: readonly FaultPoint[];
  /** Of these points, those at which the machine has a process that can be killed. */
  alive: readonly FaultPoint[];
  prepare: (world: World, subject: Subject) => Promise<void>;
  ask: (world: World, subject: Subject, signal: AbortSignal) => Promise<unknown>;
  /**
   * Asks again, as any caller does after a fault, and looks at what is there.
   *
   * @param processKilled the machine's process was the victim: its memory may be gone, its disk may not
   * @returns what is broken
   */
  verify: (world: World, subject: Subject, processKilled: boolean) => Promise<string[]>;
};

/** The points of a verb are those that bear its name: a new one is struck without being listed here. */
const pointsOf = (verb: string) => FAULT_POINTS.filter((point) => point.startsWith(`${verb}.`));
const fromOn = (points: readonly FaultPoint[], first: FaultPoint) => points.slice(points.indexOf(first));

/** Of a caller that stays. */
export const live = new AbortController().signal;
const isBroken = (found: string | null): found is string => found !== null;

const fork = async (world: World, { machineId }: Subject) => void (await world.create(machineId, world.forkOfBase));
const suspend = (world: World, { machineId, snapshotId }: Subject, lease: number, signal: AbortSignal) =>
  world.hostd.call('POST', `machines/${machineId}/suspend`, { lease, snapshotId }, signal);
const keep = (world: World, { machineId, snapshotId }: Subject, signal: AbortSignal) =>
  world.hostd.call('POST', `machines/${machineId}/checkpoint`, { lease: 1, snapshotId }, signal);
const remove = (world: World, { machineId }: Subject, signal: AbortSignal) =>
  world.hostd.call('DELETE', `machines/${machineId}?lease=1`, undefined, signal);

const create: Verb = {
  name: 'create',
  points: pointsOf('create'),
  // A process is started here, and stays to the end.
  alive: fromOn(pointsOf('create'), 'create.qemu_started'),
  prepare: async () => {},
  ask: (world, { machineId }, signal) => world.create(machineId, world.forkOfBase, 1, signal),
  verify: async (world, subject, processKilled) => {
    // The channel comes up after the answer: who was told of a machine is told of its end.
    if (processKilled && (await world.find(subject.machineId))?.state === 'exited') return [];
    await fork(world, subject);
    return [await world.whyNotWhole(subject.machineId)].filter(isBroken);
  },
};

const suspendVerb: Verb = {
  name: 'suspend',
  // What comes after the answer is nobody's to ask for again.
  points: pointsOf('suspend').filter((point) => point !== 'suspend.durable'),
  alive: ['suspend.recorded', 'suspend.guest_parked', 'suspend.state_saved', 'suspend.manifest_written'],
  prepare: fork,
  ask: (world, subject, signal) => suspend(world, subject, 1, signal),
  verify: async (world, subject, processKilled) => {
    const { machineId, snapshotId } = subject;
    const broken: string[] = [];
    const machine = await world.find(machineId);
    const isAsleep = await world.hasSnapshot(snapshotId);
    if (machine !== null && isAsleep) broken.push(`${machineId} is both a machine and a snapshot`);
    if (machine === null && !isAsleep) broken.push(`${machineId} is lost`);
    const isExited = machine?.state === 'exited';
    if (isExited && !processKilled) broken.push(`${machineId} has exited: ${machine.exitReason}`);
    await suspend(world, subject, 1, live);
    // What had not been saved when its process was killed can only be booted.
    const kind = isExited ? 'disk' : 'resume';
    await world.create(machineId, { kind, snapshotId }, 2);
    if (!isExited) broken.push(...[await world.whyNotWhole(machineId)].filter(isBroken));
    await world.hostd.call('DELETE', `machines/${machineId}?lease=2`);
    return broken;
  },
};

const checkpoint: Verb = {
  name: 'checkpoint',
  points: pointsOf('checkpoint'),
  alive: pointsOf('checkpoint'),
  prepare: fork,
  ask: (world, subject, signal) => keep(world, subject, signal),
  verify: async (world, subject, processKilled) => {
    const { machineId, snapshotId } = subject;
    const machine = await world.find(machineId);
    if (processKilled) return machine?.state === 'exited' ? [] : [`${machineId} has no process and is ${machine?.state}`];
    const broken = [await world.whyNotWhole(machineId)];
    await keep(world, subject, live);
    // What it left can be gone on from, and it is not harmed by that.
    const forkId = world.nextId('mch');
    await world.create(forkId, { kind: 'fork', snapshotId });
    broken.push(await world.whyNotWhole(forkId), await world.whyNotWhole(machineId));
    await world.hostd.call('DELETE', `machines/${forkId}?lease=1`);
    return broken.filter(isBroken);
  },
};

const rewind: Verb = {
  name: 'rewind',
  points: pointsOf('rewind'),
  alive: [],
  prepare: async (world, subject) => {
    await fork(world, subject);
    await keep(world, subject, live);
  },
  ask: (world, { machineId, snapshotId }, signal) =>
    world.hostd.call('POST', `machines/${machineId}/rewind`, { lease: 1, snapshotId }, signal),
  verify: async (world, { machineId, snapshotId }) => {
    // As it was, or gone on from the checkpoint, or none: then the checkpoint is what there is to go on from.
    const machine = await world.find(machineId);
    if (machine === null || machine.state === 'exited') {
      if (machine !== null) await world.hostd.call('DELETE', `machines/${machineId}?lease=1`);
      await world.create(machineId, { kind: 'resume', snapshotId });
    }
    return [await world.whyNotWhole(machineId)].filter(isBroken);
  },
};

const removeVerb: Verb = {
  name: 'remove',
  points: ['remove.qemu_gone', 'discard.renamed'],
  alive: [],
  prepare: fork,
  ask: (world, subject, signal) => remove(world, subject, signal),
  verify: async (world, subject) => {
    await remove(world, subject, live);
    return (await world.find(subject.machineId)) === null ? [] : [`${subject.machineId} was removed and is there`];
  },
};

const removeSnapshot: Verb = {
  name: 'remove snapshot',
  points: ['discard.renamed'],
  alive: [],
  prepare: async (world, subject) => {
    await fork(world, subject);
    await suspend(world, subject, 1, live);
  },
  ask: (world, { snapshotId }, signal) => world.hostd.call('DELETE', `snapshots/${snapshotId}`, undefined, signal),
  verify: async (world, { snapshotId }) => {
    await world.hostd.call('DELETE', `snapshots/${snapshotId}`);
    return (await world.hasSnapshot(snapshotId)) ? [`${snapshotId} was removed and is there`] : [];
  },
};

const setEgress: Verb = {
  name: 'set egress',
  points: ['egress.recorded'],
  alive: ['egress.recorded'],
  prepare: fork,
  ask: (world, { machineId }, signal) =>
    world.hostd.call(
      'PUT',
      `machines/${machineId}/egress`,
      { services: [], allow: [{ host: 'a.example', ports: [443] }] },
      signal,
    ),
  verify: async (world, { machineId }, processKilled) => {
    if (processKilled) {
      const state = (await world.find(machineId))?.state;
      return state === 'exited' ? [] : [`${machineId} has no process and is ${state}`];
    }
    await world.hostd.call('PUT', `machines/${machineId}/egress`, { services: [], allow: [] });
    return [await world.whyNotWhole(machineId)].filter(isBroken);
  },
};

/** Nobody asks for this one: the machine's process dies, and hostd with it while it writes that down. */
const exit: Verb = {
  name: 'exit',
  points: ['exit.qemu_gone'],
  alive: [],
  prepare: fork,
  ask: (world, subject) => killProcess(world, subject),
  verify: async (world, { machineId }) => {
    const machine = await world.find(machineId);
    if (machine?.state === 'exited' && machine.exitReason) return [];
    return [`${machineId} has no process and is ${machine?.state}: ${machine?.exitReason}`];
  },
};

export const VERBS: readonly Verb[] = [create, suspendVerb, checkpoint, rewind, removeVerb, removeSnapshot, setEgress, exit];

/** Ends the machine's own process, found by its socket directory, and waits until it is gone. */
export async function killProcess({ hostd }: World, { machineId }: Subject): Promise<void> {
  for (const found of await findByArgument(hostd.layout.sockets(machineId).dir)) await endProcess(found, 0);
}

/** Whatever a scenario left of its subject. */
export async function clean(world: World, { machineId, snapshotId }: Subject): Promise<void> {
  const lease = (await world.find(machineId))?.lease;
  if (lease !== undefined) await world.hostd.call('DELETE', `machines/${machineId}?lease=${lease}`);
  await world.hostd.call('DELETE', `snapshots/${snapshotId}`);
}
