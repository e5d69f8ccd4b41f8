import { rm, writeFile } from 'node:fs/promises';
import type { SuspendMachine, SuspendResult } from '../contract/machines.ts';
import { HostdError } from '../errors.ts';
import { faultPoint } from '../fault/fault-point.ts';
import type { ProcessRef, Vm } from '../hypervisor/driver.ts';
import { asDiskError, cloneFile, readIfExists } from '../storage/files.ts';
import { requireLease } from '../storage/leases.ts';
import {
  commitSnapshot,
  readManifest,
  requireSnapshot,
  type StoredManifest,
  toSnapshotView,
  writeManifest,
} from '../storage/snapshots.ts';
import { discard } from '../storage/trash.ts';
import { waitForAll } from '../wait-for-all.ts';
import { STATE_FORMAT } from './compatibility.ts';
import { collectConsole } from './console.ts';
import { type MachineContext, toGuestMachine } from './context.ts';
import { endMachine, markExited } from './exit.ts';
import { inspectGuest } from './inspect.ts';
import { bringToDisk, manifestOf } from './manifest.ts';
import { type MachineRecord, readRecord, writeRecord } from './record.ts';

/**
 * Everything the guest is asked before it is stopped, in parallel. Parking SSH takes 0.4 s emulated, 4 s when the guest is busy;
 * what is not waited for here costs the next wake a second.
 */
const FAREWELL_DEADLINE_MS = 6_000;
const FINISH_AGAIN_MS = { first: 500, max: 30_000 } as const;

/**
 * Stops the machine, writes its device state, ends QEMU and turns its files into the snapshot. Repeating the call returns the
 * snapshot that is there. When a step before the manifest fails the machine runs on; after it, the
 * suspend is finished by itself or by repeating the call.
 * A machine that has exited becomes a snapshot of its disk alone, so that nothing on it is lost.
 */
export async function suspendMachine(ctx: MachineContext, machineId: string, input: SuspendMachine): Promise<SuspendResult> {
  const requestedAt = performance.now();
  return ctx.locks.run(machineId, async () => {
    await requireLease(ctx.layout, machineId, input.lease);
    let record = await readRecord(ctx.layout, machineId);
    if (record && (await canFinish(ctx, record))) {
      if (record.snapshotId === input.snapshotId) return finish(ctx, record, requestedAt);
      throw conflict(`machine ${machineId} is about to become snapshot ${record.snapshotId}: ask for that one`);
    }
    const done = await readManifest(ctx.layout, ctx.layout.snapshot(input.snapshotId));
    if (done && done.machineId === machineId && record === null) return resultOf(ctx, done);
    if (done) throw conflict(`snapshot ${input.snapshotId} exists already: choose a new id`);
    if (!record) throw new HostdError('not_found', { message: `there is no machine ${machineId}`, phase: 'machine.suspend' });
    if (record.phase === 'starting') throw conflict(`machine ${machineId} is still being made`);
    if (input.memory === 'drop' && record.exitReason === null) {
      record = await markExited(ctx, record, ctx.connected.get(machineId) ?? null, 'ended to keep its disk alone');
    }
    const suspending = await writeRecord(ctx.layout, { ...record, phase: 'suspending', snapshotId: input.snapshotId });
    await saveOrGoBack(ctx, record, suspending);
    return finish(ctx, suspending, requestedAt);
  });
}

async function finish(ctx: MachineContext, record: MachineRecord, requestedAt: number): Promise<SuspendResult> {
  const snapshotId = record.snapshotId!;
  try {
    await finishSuspend(ctx, record);
    const releasedMs = Math.round(performance.now() - requestedAt);
    await writeFile(ctx.layout.snapshot(snapshotId).releasedMs, String(releasedMs));
  } catch (error) {
    void finishLater(ctx, record.machineId);
    throw asDiskError(error, 'machine.suspend');
  }
  return resultOf(ctx, await requireSnapshot(ctx.layout, snapshotId), record.process);
}

/** What has its manifest becomes a snapshot as soon as the disk lets it, whether or not it is asked for again. */
async function finishLater(ctx: MachineContext, machineId: string): Promise<void> {
  if (ctx.finishing.has(machineId)) return;
  ctx.finishing.add(machineId);
  const tryOnce = async () => {
    const record = await readRecord(ctx.layout, machineId);
    if (record && (await canFinish(ctx, record))) await finishSuspend(ctx, record);
  };
  for (let waitMs: number = FINISH_AGAIN_MS.first; ; waitMs = Math.min(waitMs * 2, FINISH_AGAIN_MS.max)) {
    // Whoever ends hostd does not wait: its next start finishes too.
    await new Promise((resolve) => setTimeout(resolve, waitMs).unref());
    const error = await ctx.locks.run(machineId, tryOnce).then(
      () => null,
      (reason: unknown) => reason,
    );
    if (error === null) break;
    ctx.log.warn({ event: 'machine.not_suspended', machineId, err: error }, 'a suspend cannot be finished yet');
  }
  ctx.finishing.delete(machineId);
}

async function saveOrGoBack(ctx: MachineContext, before: MachineRecord, record: MachineRecord): Promise<void> {
  const vm = before.exitReason === null ? ctx.connected.get(record.machineId) : null;
  if (vm === undefined)
    throw new HostdError('internal', { message: `machine ${record.machineId} was not taken up`, phase: 'machine.suspend' });
  try {
    await faultPoint('suspend.recorded');
    await (vm ? saveToFiles(ctx, record, vm) : keepDisk(ctx, record));
  } catch (error) {
    await (vm ? goOn(ctx, record, vm) : stayExited(ctx, before));
    throw asDiskError(error, 'machine.suspend');
  }
}

async function stayExited(ctx: MachineContext, exited: MachineRecord): Promise<void> {
  await rm(ctx.layout.machine(exited.machineId).vm.manifest, { force: true });
  await writeRecord(ctx.layout, exited);
}

/** Ends with a complete, synced manifest in the machine's directory: from then on the suspend can only be finished. */
async function saveToFiles(ctx: MachineContext, record: MachineRecord, vm: Vm): Promise<void> {
  const files = ctx.layout.machine(record.machineId);
  const guestMachine = await toGuestMachine(ctx, record, vm, record.request.source.kind);
  const [carried, inventory] = await waitForAll([
    ctx.guest.beforeSuspend(guestMachine, FAREWELL_DEADLINE_MS),
    inspectGuest(vm.agent, FAREWELL_DEADLINE_MS),
    collectConsole(vm, files),
    cloneFile(files.mappedMemory, files.vm.memory),
  ]);
  await faultPoint('suspend.guest_parked');
  const { deviceState, memory } = files.vm;
  const saved = await vm.save({ deviceState, memory, memoryPath: files.mappedMemory });
  await faultPoint('suspend.state_saved');
  const manifest = await manifestOf(ctx, record, {
    snapshotId: record.snapshotId!,
    files: files.vm,
    memory: {
      ...inventory,
      carried,
      stateFormat: STATE_FORMAT,
      deviceStateSha256: saved.sha256,
      changedMemoryBytes: saved.changedBytes,
      zeroedMemoryBytes: saved.zeroedBytes,
    },
  });
  await writeManifest(ctx.layout, files.vm, manifest);
}

/** Of a machine that has ended only the disk is left. */
async function keepDisk(ctx: MachineContext, record: MachineRecord): Promise<void> {
  const { vm: files } = ctx.layout.machine(record.machineId);
  const manifest = await manifestOf(ctx, record, { snapshotId: record.snapshotId!, files, memory: null });
  await writeManifest(ctx.layout, files, manifest);
}

/** Whether the machine has its manifest, in its own directory or already in the snapshot's: nothing is left but to finish. */
export async function canFinish(ctx: MachineContext, record: MachineRecord): Promise<boolean> {
  if (record.phase !== 'suspending' || record.snapshotId === null) return false;
  const found =
    (await readManifest(ctx.layout, ctx.layout.machine(record.machineId).vm)) ??
    (await readManifest(ctx.layout, ctx.layout.snapshot(record.snapshotId)));
  return found?.machineId === record.machineId && found.snapshotId === record.snapshotId;
}

/** What is left once the manifest is written. Safe to repeat, also by a hostd that finds the machine half way. */
export async function finishSuspend(ctx: MachineContext, record: MachineRecord): Promise<void> {
  const { machineId, snapshotId } = record;
  const machine = ctx.layout.machine(machineId);
  const snapshot = ctx.layout.snapshot(snapshotId!);
  await faultPoint('suspend.manifest_written');
  await endMachine(ctx, machineId);
  await faultPoint('suspend.qemu_gone');
  if (!(await readManifest(ctx.layout, snapshot))) await commitSnapshot(ctx.layout, machine.vm, snapshotId!);
  await faultPoint('suspend.renamed');
  await discard(ctx.layout, machine.dir);
  await faultPoint('suspend.machine_discarded');
  ctx.log.info({ event: 'machine.suspended', machineId, snapshotId }, 'a machine is a snapshot now');
  bringToDisk(ctx, snapshotId!);
}

/** Back to running after a failed suspend. */
export async function goOn(ctx: MachineContext, record: MachineRecord, vm: Vm): Promise<void> {
  const { vm: files } = ctx.layout.machine(record.machineId);
  for (const file of [files.manifest, files.deviceState, files.memory]) await rm(file, { recursive: true, force: true });
  await vm.run();
  const running = await writeRecord(ctx.layout, { ...record, phase: 'running', snapshotId: null });
  ctx.guest.gone(record.machineId);
  const guestMachine = await toGuestMachine(ctx, running, vm, 'adopted');
  await ctx.guest.attach(guestMachine);
  void ctx.guest
    .ready(guestMachine)
    .catch((error) =>
      ctx.log.warn({ event: 'guest.not_ready', machineId: record.machineId, err: error }, 'SSH did not come back'),
    );
}

async function resultOf(
  ctx: MachineContext,
  manifest: StoredManifest,
  process: ProcessRef | null = null,
): Promise<SuspendResult> {
  const releasedMs = Number((await readIfExists(ctx.layout.snapshot(manifest.snapshotId).releasedMs)) ?? 0);
  const processGone = process === null || !(await ctx.driver.isAlive(process));
  return { snapshot: await toSnapshotView(ctx.layout, manifest), releasedMs, processGone };
}

function conflict(message: string): HostdError {
  return new HostdError('conflict', { message, phase: 'machine.suspend' });
}
