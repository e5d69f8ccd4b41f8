import { rm } from 'node:fs/promises';
import { messageOf } from '../errors.ts';
import { faultPoint } from '../fault/fault-point.ts';
import type { Vm } from '../hypervisor/driver.ts';
import { asDiskError } from '../storage/files.ts';
import { discard } from '../storage/trash.ts';
import { collectConsole } from './console.ts';
import type { MachineContext } from './context.ts';
import { type MachineRecord, readRecord, socketDirOf, writeRecord } from './record.ts';

/** From here on the machine counts as running, and its end, when nobody asked for it, is written down with the reason. */
export function connect(ctx: MachineContext, machineId: string, vm: Vm): void {
  ctx.connected.set(machineId, vm);
  void vm.exited.then(({ reason }) =>
    ctx.locks
      .run(machineId, async () => {
        // A verb that ended the machine has taken it out of the map first.
        if (ctx.connected.get(machineId) !== vm) return;
        const record = await readRecord(ctx.layout, machineId);
        if (record) await markExited(ctx, record, vm, reason);
      })
      .catch((error) =>
        ctx.log.error({ event: 'machine.exit_lost', machineId, err: error }, 'a machine ended and could not be marked'),
      ),
  );
}

/** Releases everything but the disk and the console of a machine whose guest or QEMU has ended. */
export async function markExited(
  ctx: MachineContext,
  record: MachineRecord,
  vm: Vm | null,
  reason: string,
): Promise<MachineRecord> {
  const { machineId } = record;
  const files = ctx.layout.machine(machineId);
  ctx.connected.delete(machineId);
  ctx.egress.delete(machineId);
  ctx.guest.gone(machineId);
  if (vm) {
    await collectConsole(vm, files).catch(() => undefined);
    await vm.kill();
  }
  await faultPoint('exit.qemu_gone');
  await vacate(ctx, record);
  await rm(files.mappedMemory, { force: true });
  ctx.log.warn({ event: 'machine.exited', machineId, reason }, 'a machine ended by itself');
  return writeRecord(ctx.layout, { ...record, phase: 'exited', exitReason: record.exitReason ?? reason, snapshotId: null });
}

/** Ends a machine's process, also one that a hostd started and did not live to write down. */
export async function endMachine(ctx: MachineContext, machineId: string): Promise<void> {
  const named = (await readRecord(ctx.layout, machineId)) ?? { machineId, spareId: null };
  const vm = ctx.connected.get(machineId);
  ctx.connected.delete(machineId);
  ctx.egress.delete(machineId);
  ctx.guest.gone(machineId);
  if (vm) await vm.kill();
  else await ctx.driver.killUnrecorded(socketDirOf(ctx.layout, named));
  await vacate(ctx, named);
}

/**
 * Takes away what is left of a machine that `endMachine` has ended. One that cannot be taken away, because the disk fails, has
 * exited for everybody to see: it is not told as running without a process, and can be removed or gone back from again.
 *
 * @param phase of the error
 * @param before what comes first, and may fail
 */
export async function discardEnded(
  ctx: MachineContext,
  machineId: string,
  { phase, before }: { phase: string; before: () => Promise<void> },
): Promise<void> {
  try {
    await before();
    await discard(ctx.layout, ctx.layout.machine(machineId).dir);
  } catch (error) {
    const record = await readRecord(ctx.layout, machineId);
    if (record) await markExited(ctx, record, null, `it was ended, and its files could not be removed: ${messageOf(error)}`);
    throw asDiskError(error, phase);
  }
}

/** Its files are hostd's own again before they become a snapshot or are kept: nothing at rest belongs to a machine's user. */
export async function vacate(ctx: MachineContext, named: Pick<MachineRecord, 'machineId' | 'spareId'>): Promise<void> {
  const { machineId, spareId } = named;
  const { disk } = ctx.layout.machine(machineId).vm;
  const socketDir = socketDirOf(ctx.layout, named);
  await ctx.driver.vacate({ machineId: spareId ?? machineId, socketDir, files: [disk] });
  await rm(socketDir, { recursive: true, force: true });
  if (spareId !== null)
    for (const left of Object.values(ctx.layout.spare(spareId))) await rm(left, { recursive: true, force: true });
}
