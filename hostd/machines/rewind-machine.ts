import type { MachineView, RewindMachine } from '../contract/machines.ts';
import { HostdError } from '../errors.ts';
import { faultPoint } from '../fault/fault-point.ts';
import { requireLease } from '../storage/leases.ts';
import { requireSnapshot } from '../storage/snapshots.ts';
import type { MachineContext } from './context.ts';
import { makeMachine } from './create-machine.ts';
import { discardEnded, endMachine } from './exit.ts';
import { resolveOrigin } from './prepare.ts';
import { type MachineRequest, readRecord } from './record.ts';

/**
 * The same machine goes on from an earlier snapshot of itself; what it is now is dropped. Whether that snapshot can be loaded
 * here is found out before anything is given up. A hostd that dies in between leaves the snapshot and either the machine as it
 * was, or exited, or none; a rewind that failed can be asked for again while the machine is there, and is a resume when it is not.
 */
export async function rewindMachine(ctx: MachineContext, machineId: string, input: RewindMachine): Promise<MachineView> {
  const requestedAt = performance.now();
  return ctx.locks.run(machineId, async () => {
    await requireLease(ctx.layout, machineId, input.lease);
    const record = await readRecord(ctx.layout, machineId);
    if (!record) throw new HostdError('not_found', { message: `there is no machine ${machineId}`, phase: 'machine.rewind' });
    const manifest = await requireSnapshot(ctx.layout, input.snapshotId);
    if (manifest.machineId !== machineId) {
      throw new HostdError('conflict', {
        message: `snapshot ${input.snapshotId} is of machine ${manifest.machineId}: fork it instead`,
        phase: 'machine.rewind',
      });
    }
    const request: MachineRequest = {
      ...record.request,
      lease: input.lease,
      source: { kind: 'resume', snapshotId: input.snapshotId },
    };
    // What it may reach stays; ending it forgets that.
    const egress = ctx.egress.get(machineId) ?? null;
    await resolveOrigin(ctx, request);
    await endMachine(ctx, machineId);
    await discardEnded(ctx, machineId, { phase: 'machine.rewind', before: () => faultPoint('rewind.qemu_gone') });
    await faultPoint('rewind.discarded');
    return makeMachine(ctx, machineId, request, { egress, requestedAt });
  });
}
