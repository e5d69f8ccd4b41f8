import { mkdir } from 'node:fs/promises';
import type { CheckpointMachine, CheckpointResult } from '../contract/machines.ts';
import { HostdError } from '../errors.ts';
import { faultPoint } from '../fault/fault-point.ts';
import type { Vm } from '../hypervisor/driver.ts';
import { asDiskError, cloneFile, syncData } from '../storage/files.ts';
import { requireLease } from '../storage/leases.ts';
import { commitSnapshot, readManifest, requireSnapshot, toSnapshotView, writeManifest } from '../storage/snapshots.ts';
import { discard } from '../storage/trash.ts';
import { waitForAll } from '../wait-for-all.ts';
import { STATE_FORMAT } from './compatibility.ts';
import type { MachineContext } from './context.ts';
import { inspectGuest } from './inspect.ts';
import { bringToDisk, manifestOf } from './manifest.ts';
import { type MachineRecord, readRecord } from './record.ts';

/** The machine runs meanwhile, so that nobody waits for it. */
const INSPECT_DEADLINE_MS = 6_000;

/**
 * Makes a snapshot of a running machine, which stands still for the moment in which its device state and the memory it has
 * changed are taken out of QEMU. Repeating the call returns the snapshot that is there. Half a checkpoint is a directory within
 * the machine's, without effect on the machine; recovery discards it.
 */
export async function checkpointMachine(
  ctx: MachineContext,
  machineId: string,
  input: CheckpointMachine,
): Promise<CheckpointResult> {
  return ctx.locks.run(machineId, async () => {
    await requireLease(ctx.layout, machineId, input.lease);
    const { snapshotId } = input;
    const done = await readManifest(ctx.layout, ctx.layout.snapshot(snapshotId));
    if (done?.machineId === machineId) return { snapshot: await toSnapshotView(ctx.layout, done), stoppedMs: null };
    if (done) throw conflict(`snapshot ${snapshotId} exists already: choose a new id`);
    const record = await readRecord(ctx.layout, machineId);
    if (!record) throw new HostdError('not_found', { message: `there is no machine ${machineId}`, phase: 'machine.checkpoint' });
    const vm = ctx.connected.get(machineId);
    if (record.phase !== 'running' || !vm)
      throw conflict(`machine ${machineId} is ${record.phase}: only a running one has a memory`);
    const { checkpoint } = ctx.layout.machine(machineId);
    await discard(ctx.layout, checkpoint.dir);
    try {
      const stoppedMs = await saveRunning(ctx, record, vm, snapshotId);
      await commitSnapshot(ctx.layout, checkpoint, snapshotId);
      await faultPoint('checkpoint.renamed');
      ctx.log.info({ event: 'machine.checkpoint', machineId, snapshotId, stoppedMs }, 'a running machine left a snapshot');
      bringToDisk(ctx, snapshotId);
      return { snapshot: await toSnapshotView(ctx.layout, await requireSnapshot(ctx.layout, snapshotId)), stoppedMs };
    } catch (error) {
      await discard(ctx.layout, checkpoint.dir);
      throw asDiskError(error, 'machine.checkpoint');
    }
  });
}

/** @returns for how long it stood still, in milliseconds */
async function saveRunning(ctx: MachineContext, record: MachineRecord, vm: Vm, snapshotId: string): Promise<number> {
  const { vm: files, checkpoint, mappedMemory } = ctx.layout.machine(record.machineId);
  await mkdir(checkpoint.dir, { mode: 0o700 });
  const [inventory] = await waitForAll([
    inspectGuest(vm.agent, INSPECT_DEADLINE_MS),
    cloneFile(mappedMemory, checkpoint.memory),
    // What is on the disk already need not be written while the machine stands still.
    syncData(files.disk),
  ]);
  await faultPoint('checkpoint.prepared');
  const to = { deviceState: checkpoint.deviceState, memory: checkpoint.memory, memoryPath: mappedMemory };
  const saved = await vm.checkpoint(to, () => cloneFile(files.disk, checkpoint.disk));
  await faultPoint('checkpoint.state_saved');
  const manifest = await manifestOf(ctx, record, {
    snapshotId,
    files: checkpoint,
    memory: {
      ...inventory,
      // Its SSH connection was in use: whoever goes on from here starts a new one.
      carried: null,
      stateFormat: STATE_FORMAT,
      deviceStateSha256: saved.sha256,
      changedMemoryBytes: saved.changedBytes,
      zeroedMemoryBytes: saved.zeroedBytes,
    },
  });
  await writeManifest(ctx.layout, checkpoint, manifest);
  await faultPoint('checkpoint.manifest_written');
  return Math.round(saved.stoppedMs * 10) / 10;
}

function conflict(message: string): HostdError {
  return new HostdError('conflict', { message, phase: 'machine.checkpoint' });
}
