import type { MachineSource, MachineView } from '../../hostd/contract/machines.ts';
import type { Machine, MachinePurpose } from '../../prisma/generated/client.ts';
import { type Tx, withOrg } from '../../server/db.ts';
import type { HostClient } from '../../server/hosts/host-client.ts';
import { HostError, isHostError } from '../../server/hosts/host-error.ts';
import { storeKeysOf } from '../../server/hosts/store-key.ts';
import { newId } from '../../server/ids.ts';
import type { WorkerDeps } from '../deps.ts';
import { handOverEgress } from './apply-egress.ts';
import { bringHere } from './bring-here.ts';
import { egressOf } from './egress-of.ts';

export type MachineOwner = { sessionId: string; branch: string } | { templateId: string } | { checkId: string };

export type NewMachine = { orgId: string; hostId: string; lease: number; purpose: MachinePurpose; owner: MachineOwner };

/**
 * The machine's row, before there is a machine: whatever happens from here on, the reaper knows what to look for, and
 * asking the host twice makes one machine.
 */
export async function insertMachine(tx: Tx, { orgId, hostId, lease, purpose, owner }: NewMachine): Promise<Machine> {
  const { branch: _, ...ownerIds } = { branch: '', ...owner };
  return tx.machine.create({ data: { id: newId('machine'), orgId, hostId, lease, purpose, ...ownerIds } });
}

export type StartMachine = {
  machine: Machine;
  source: MachineSource;
  size?: { memoryMiB: number; vcpus: number; diskGiB: number };
};

export type StartedMachine = { host: HostClient; view: MachineView; ms: number };

/** Makes the machine of a row, or finds it made; either way it has the rules of now. Rejects with HostError. */
export async function startMachine(deps: WorkerDeps, input: StartMachine): Promise<StartedMachine> {
  const { machine, source, size } = input;
  const { orgId } = machine;
  await deps.hosts.requireNeighbourly(machine.hostId, orgId);
  const egress = await egressOf(deps, machine);
  const host = await deps.hosts.client(machine.hostId);
  const startedAt = performance.now();
  if (machine.bootId === null) await bringHere(host, source, storeKeysOf(deps.storeSecrets, orgId));
  const made = await findMade(host, machine);
  const view = made ?? (await host.create(machine.id, { lease: machine.lease, source, egress, ...size }));
  if (view.state === 'exited') {
    throw new HostError({ code: 'internal', phase: 'create', message: view.exitReason ?? 'the machine ended as it started' });
  }
  const ms = Math.round(performance.now() - startedAt);
  await withOrg(deps.db, orgId, (tx) =>
    tx.machine.update({
      where: { id: machine.id },
      data: { bootId: view.bootId, sourceSnapshotId: 'snapshotId' in source ? source.snapshotId : null },
    }),
  );
  // From here on a change of the rules finds this machine. One that came before did not, nor does a machine found made have it.
  await handOverEgress(deps, machine, made ? null : egress);
  return { host, view, ms };
}

/** The machine as its host has it, when it was made before: its source may be gone by now, so it is not asked for again. */
async function findMade(host: HostClient, machine: Machine): Promise<MachineView | null> {
  return machine.bootId === null ? null : host.machine(machine.id);
}

/** Ends a machine for good and says so in its row. Rejects with HostError when the host does not answer; the reaper tries again. */
export async function removeMachine(
  deps: WorkerDeps,
  machine: Pick<Machine, 'id' | 'orgId' | 'hostId' | 'lease'>,
): Promise<void> {
  const host = await deps.hosts.client(machine.hostId);
  await host.remove(machine.id, machine.lease);
  await endMachineRow(deps, machine, 'deleted');
}

export async function endMachineRow(
  deps: WorkerDeps,
  machine: Pick<Machine, 'id' | 'orgId'>,
  how: 'suspended' | 'deleted' | 'lost',
): Promise<void> {
  const data = { endedAt: deps.clock.now(), endedHow: how };
  await withOrg(deps.db, machine.orgId, (tx) => tx.machine.updateMany({ where: { id: machine.id, endedAt: null }, data }));
}

/** Why a machine is no longer there, in words for people; null when it is. Rejects with HostError when its host does not answer. */
export async function whyGone(host: HostClient, machineId: string): Promise<string | null> {
  try {
    const view = await host.machine(machineId);
    return view.state === 'exited' ? (view.exitReason ?? 'its process ended') : null;
  } catch (error) {
    if (isHostError(error, 'not_found')) return 'its host no longer knows it';
    throw error;
  }
}

/** Is the machine of this row still running on its host? Rejects with HostError when the host does not answer. */
export async function isMachineAlive(deps: WorkerDeps, machine: Pick<Machine, 'id' | 'hostId'>): Promise<boolean> {
  return (await whyGone(await deps.hosts.client(machine.hostId), machine.id)) === null;
}

/** A machine makes one snapshot in its life, so its id follows from the machine's: asking again asks for the same. */
export function snapshotIdOf(machineId: string): string {
  return machineId.replace(/^mch_/, 'snp_');
}
