import type { Machine } from '../../prisma/generated/client.ts';
import { withOrg } from '../../server/db.ts';
import { isHostError } from '../../server/hosts/host-error.ts';
import type { WorkerDeps } from '../deps.ts';
import { egressOf } from './egress-of.ts';

/**
 * Gives every live machine of an organization the rules as they are now. One whose host does not answer fails the job, which is
 * tried again; one that ended meanwhile needs none.
 */
export async function applyEgress(deps: WorkerDeps, orgId: string): Promise<void> {
  const machines = await withOrg(deps.db, orgId, (tx) =>
    tx.machine.findMany({ where: { endedAt: null, bootId: { not: null } } }),
  );
  const failures: unknown[] = [];
  for (const machine of machines) await handOverEgress(deps, machine).catch((error: unknown) => failures.push(error));
  if (failures.length > 0) throw failures[0];
}

/** Rejects with HostError when the host does not answer. */
export async function handOverEgress(deps: WorkerDeps, machine: Machine): Promise<void> {
  const egress = await egressOf(deps, machine);
  const host = await deps.hosts.client(machine.hostId);
  await host.setEgress(machine.id, egress).catch((error: unknown) => {
    if (!isHostError(error, 'not_found')) throw error;
  });
}
