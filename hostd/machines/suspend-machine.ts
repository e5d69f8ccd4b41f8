import { rm, stat } from 'node:fs/promises';
import type { SuspendMachine, SuspendResult } from '../contract/machines.ts';
import { HostdError, messageOf } from '../errors.ts';
import type { Vm } from '../hypervisor/driver.ts';
import { asDiskError } from '../storage/files.ts';
import type { SnapshotFiles } from '../storage/layout.ts';
import { requireLease } from '../storage/leases.ts';
import { commitSnapshot, makeDurable, readManifest, toSnapshotView, writeManifest } from '../storage/snapshots.ts';
import { discard } from '../storage/trash.ts';
import { collectConsole } from './console.ts';
import { type MachineContext, toGuestMachine } from './context.ts';
import { endMachine } from './exit.ts';
import { inspectGuest } from './inspect.ts';
import { type MachineRecord, readRecord, writeRecord } from './record.ts';

/** Everything the guest is asked before it is stopped, in parallel. */
const FAREWELL_DEADLINE_MS = 3_000;

/**
 * Stops the machine, writes its device state, ends QEMU and turns its files into the snapshot. Repeating the call returns the
 * snapshot that is there. When a step before the manifest fails the machine runs on.
 */
export async function suspendMachine(ctx: MachineContext, machineId: string, input: SuspendMachine): Promise<SuspendResult> {
  const requestedAt = performance.now();
  return ctx.locks.run(machineId, async () => {
    await requireLease(ctx.layout, machineId, input.lease);
    const record = await readRecord(ctx.layout, machineId);
    const done = await readManifest(ctx.layout.snapshot(input.snapshotId));
    if (done && done.machineId === machineId && record === null) return repeated(ctx, input.snapshotId);
    if (done) throw conflict(`snapshot ${input.snapshotId} exists already: choose a new id`);
    if (!record) throw new HostdError('not_found', { message: `there is no machine ${machineId}`, phase: 'machine.suspend' });
    const vm = ctx.connected.get(machineId);
    // `suspending` here is a former try that failed and could not even write that down.
    if (!vm || record.phase === 'exited' || record.phase === 'starting')
      throw conflict(`machine ${machineId} is ${record.phase}, not running`);

    const suspending = await writeRecord(ctx.layout, { ...record, phase: 'suspending', snapshotId: input.snapshotId });
    try {
      await saveToFiles(ctx, suspending, vm);
    } catch (error) {
      await goOn(ctx, record, vm);
      throw asDiskError(error, 'machine.suspend');
    }
    await finishSuspend(ctx, suspending);
    const releasedMs = Math.round(performance.now() - requestedAt);
    return { snapshot: await viewOf(ctx, input.snapshotId), releasedMs, processGone: !(await ctx.driver.isAlive(vm.process)) };
  });
}

/** Ends with a complete, synced manifest in the machine's directory: from then on the suspend can only be finished. */
async function saveToFiles(ctx: MachineContext, record: MachineRecord, vm: Vm): Promise<void> {
  const files = ctx.layout.machine(record.machineId);
  const guestMachine = await toGuestMachine(ctx, record, vm, record.request.source.kind);
  const [carried, inventory] = await Promise.all([
    ctx.guest.beforeSuspend(guestMachine, FAREWELL_DEADLINE_MS),
    inspectGuest(vm.agent, FAREWELL_DEADLINE_MS),
    collectConsole(vm, files),
  ]);
  const saved = await vm.save(files.vm.deviceState);
  await writeManifest(files.vm, {
    schemaVersion: 1,
    snapshotId: record.snapshotId!,
    machineId: record.machineId,
    parentSnapshotId: record.parentSnapshotId,
    imageId: record.imageId,
    qemuVersion: record.qemuVersion,
    machineType: record.machineType,
    cpuModel: record.cpuModel,
    accelerator: record.accelerator,
    memoryMiB: record.memoryMiB,
    vcpus: record.vcpus,
    bootId: record.bootId,
    ...inventory,
    deviceStateSha256: saved.sha256,
    files: await fileSizes(files.vm),
    createdAt: new Date().toISOString(),
    hostBootId: ctx.hostBootId,
    carried,
  });
}

async function fileSizes(files: SnapshotFiles): Promise<Record<string, { bytes: number }>> {
  const names = { memory: files.memory, disk: files.disk, deviceState: files.deviceState };
  const sizes = Object.entries(names).map(async ([name, file]) => [name, { bytes: (await stat(file)).size }] as const);
  return Object.fromEntries(await Promise.all(sizes));
}

/** What is left once the manifest is written. Safe to repeat, also by a hostd that finds the machine half way. */
export async function finishSuspend(ctx: MachineContext, record: MachineRecord): Promise<void> {
  const { machineId, snapshotId } = record;
  const machine = ctx.layout.machine(machineId);
  const snapshot = ctx.layout.snapshot(snapshotId!);
  await endMachine(ctx, machineId);
  if (!(await readManifest(snapshot))) await commitSnapshot(ctx.layout, machine.vm, snapshotId!);
  await discard(ctx.layout, machine.dir);
  ctx.log.info({ event: 'machine.suspended', machineId, snapshotId }, 'a machine is a snapshot now');
  // Not waited for: the page cache survives everything but a crash of the host, and that is noticed at the resume.
  void makeDurable(snapshot).catch((error) =>
    ctx.log.warn(
      { event: 'snapshot.not_durable', snapshotId, reason: messageOf(error) },
      'a snapshot was not brought to the disk',
    ),
  );
}

/** Back to running after a failed suspend. */
export async function goOn(ctx: MachineContext, record: MachineRecord, vm: Vm): Promise<void> {
  const { vm: files } = ctx.layout.machine(record.machineId);
  for (const file of [files.manifest, files.deviceState]) await rm(file, { recursive: true, force: true });
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

async function repeated(ctx: MachineContext, snapshotId: string): Promise<SuspendResult> {
  const snapshot = await viewOf(ctx, snapshotId);
  return { snapshot, releasedMs: 0, processGone: true };
}

async function viewOf(ctx: MachineContext, snapshotId: string) {
  const manifest = await readManifest(ctx.layout.snapshot(snapshotId));
  if (!manifest) throw new HostdError('internal', { message: `snapshot ${snapshotId} vanished`, phase: 'machine.suspend' });
  return toSnapshotView(ctx.layout, manifest);
}

function conflict(message: string): HostdError {
  return new HostdError('conflict', { message, phase: 'machine.suspend' });
}
