import { readdir } from 'node:fs/promises';
import { messageOf } from '../errors.ts';
import { faultPoint } from '../fault/fault-point.ts';
import { forgetOldLeases } from '../storage/leases.ts';
import { discard, emptyTrash } from '../storage/trash.ts';
import { type MachineContext, toGuestMachine } from './context.ts';
import { connect, endMachine, markExited } from './exit.ts';
import { listRecords, readRecord, socketDirOf, writeRecord } from './record.ts';
import { endSpares } from './spares.ts';
import { canFinish, finishSuspend, goOn } from './suspend-machine.ts';

/**
 * Brings the data directory and the process table in line after hostd ended, however it did: takes up what runs, finishes or
 * undoes suspends, undoes checkpoints, removes what was half made, writes down what died. Calls nothing that needs an answer from a guest.
 */
export async function recoverMachines(ctx: MachineContext): Promise<void> {
  await faultPoint('recover.begun');
  await emptyTrash(ctx.layout);
  const taken = new Set((await listRecords(ctx.layout)).map(({ spareId }) => spareId));
  await endSpares(ctx, (spareId) => taken.has(spareId));
  const ids = await readdir(ctx.layout.machines);
  await Promise.all(
    ids.map((machineId) =>
      ctx.locks
        .run(machineId, () => recoverMachine(ctx, machineId))
        .then(() => faultPoint('recover.machine_done'))
        .catch((error) =>
          ctx.log.error({ event: 'machine.recover_failed', machineId, reason: messageOf(error) }, 'a machine was not recovered'),
        ),
    ),
  );
  await forgetOldLeases(ctx.layout, (machineId) => ids.includes(machineId), Date.now());
}

async function recoverMachine(ctx: MachineContext, machineId: string): Promise<void> {
  const record = await readRecord(ctx.layout, machineId);
  if (record === null || record.phase === 'starting') return removeHalfMade(ctx, machineId);
  await discard(ctx.layout, ctx.layout.machine(machineId).checkpoint.dir);
  // One of a former release holds the machine's credentials, which belong on no disk.
  await writeRecord(ctx.layout, record);
  if (record.phase === 'exited') return;
  if (await canFinish(ctx, record)) return finishSuspend(ctx, record);

  const ref = { machineId, socketDir: socketDirOf(ctx.layout, record), logPath: ctx.layout.machine(machineId).qemuLog };
  const vm = record.process && (await ctx.driver.adopt({ ...ref, process: record.process }));
  if (!vm)
    return void (await markExited(ctx, record, null, 'QEMU ended while hostd was not running (killed, or the host restarted)'));
  const state = await vm.runState();
  if (state === 'ended') return void (await markExited(ctx, record, vm, 'the guest ended while hostd was not running'));
  connect(ctx, machineId, vm);
  if (state === 'running' && record.phase === 'running') {
    const guestMachine = await toGuestMachine(ctx, record, vm, 'adopted');
    await ctx.guest.attach(guestMachine);
    void ctx.guest
      .ready(guestMachine)
      .catch((error) => ctx.log.warn({ event: 'guest.not_ready', machineId, err: error }, 'SSH into an adopted machine failed'));
  } else {
    // Stopped in the middle of a suspend that never got to its manifest, or of a checkpoint.
    await goOn(ctx, record, vm);
  }
  ctx.log.info({ event: 'machine.adopted', machineId, pid: vm.process.pid }, 'a running machine was taken up');
}

async function removeHalfMade(ctx: MachineContext, machineId: string): Promise<void> {
  await endMachine(ctx, machineId);
  await discard(ctx.layout, ctx.layout.machine(machineId).dir);
  ctx.log.info({ event: 'machine.half_made', machineId }, 'a machine that was never finished was removed');
}
