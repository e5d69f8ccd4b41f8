import { mkdir } from 'node:fs/promises';
import type { EgressPolicy } from '../contract/egress.ts';
import { faultPoint } from '../fault/fault-point.ts';
import type { ImageIds } from '../guest/image/recipe.ts';
import type { Driver, Vm } from '../hypervisor/driver.ts';
import type { Logger } from '../logger.ts';
import type { Layout } from '../storage/layout.ts';
import type { GuestMachine, GuestSide } from './guest-port.ts';
import type { KeyedLock } from './keyed-lock.ts';
import type { MachineRecord } from './record.ts';
import type { Spares } from './spares.ts';

/** What the verbs share. `connected` holds open sockets, not truth: a restart fills it again from the disk and /proc. */
export type MachineContext = {
  layout: Layout;
  driver: Driver;
  guest: GuestSide;
  log: Logger;
  hostBootId: string;
  spares: Spares;
  /** Images that cold boots start from, by variant. */
  imageIds: ImageIds;
  connected: Map<string, Vm>;
  /**
   * What each machine may reach, with credentials, and therefore on no disk. A machine that a former hostd left has none until it
   * is handed over again; its proxy lets requests wait meanwhile.
   */
  egress: Map<string, EgressPolicy>;
  /** Serialises verbs on one machine, and the cloning of a snapshot with its removal. */
  locks: KeyedLock;
  /** Suspends that a disk error stopped after their manifest, and that are tried again. */
  finishing: Set<string>;
};

/** The guest side's view of a machine as it is now. */
export async function toGuestMachine(
  ctx: MachineContext,
  record: MachineRecord,
  vm: Vm,
  origin: GuestMachine['origin'],
): Promise<GuestMachine> {
  const files = ctx.layout.machine(record.machineId);
  await mkdir(files.guest, { recursive: true, mode: 0o700 });
  return {
    machineId: record.machineId,
    sshSocketPath: vm.sshSocketPath,
    agent: vm.agent,
    origin,
    dir: files.guest,
    carried: origin === 'resume' || origin === 'fork' ? record.carried : null,
    egress: ctx.egress.get(record.machineId) ?? null,
  };
}

/** The machine's policy from now on. */
export async function applyEgress(ctx: MachineContext, record: MachineRecord, egress: EgressPolicy): Promise<void> {
  ctx.egress.set(record.machineId, egress);
  await faultPoint('egress.recorded');
  const vm = ctx.connected.get(record.machineId);
  if (vm) ctx.guest.egressChanged(await toGuestMachine(ctx, record, vm, 'adopted'));
}
