import { isDeepStrictEqual } from 'node:util';
import type { EgressPolicy } from '../../hostd/contract/egress.ts';
import type { Machine } from '../../prisma/generated/client.ts';
import { withOrg } from '../../server/db.ts';
import { isHostError } from '../../server/hosts/host-error.ts';
import type { WorkerDeps } from '../deps.ts';
import { egressOf } from './egress-of.ts';

/**
 * Gives every live machine of an organization the rules as they are now, none waiting for another. One whose host does not answer
 * fails the job, which is tried again; one that ended meanwhile needs none, and one that is being made sees to itself.
 */
export async function applyEgress(deps: WorkerDeps, orgId: string): Promise<void> {
  const machines = await withOrg(deps.db, orgId, (tx) =>
    tx.machine.findMany({ where: { endedAt: null, bootId: { not: null } } }),
  );
  const results = await Promise.allSettled(machines.map((machine) => handOverEgress(deps, machine)));
  const failed = results.find((result) => result.status === 'rejected');
  if (failed) throw failed.reason;
}

/**
 * Gives a machine its rules until those it has are those of now: they may change on the way, and of two that hand over at once the
 * one that read first may be heard last. `has` is what it was just made with. Rejects with HostError when the host does not answer.
 */
export async function handOverEgress(deps: WorkerDeps, machine: Machine, has: EgressPolicy | null = null): Promise<void> {
  const host = await deps.hosts.client(machine.hostId);
  for (let held = has; ; ) {
    const egress = await egressOf(deps, machine);
    if (held && isSame(held, egress)) return;
    try {
      await host.setEgress(machine.id, egress);
    } catch (error) {
      if (isHostError(error, 'not_found')) return;
      throw error;
    }
    held = egress;
  }
}

/** Services are left out: they hold a grant, which is a new one each time. */
function isSame({ services: _, ...one }: EgressPolicy, { services: __, ...other }: EgressPolicy): boolean {
  return isDeepStrictEqual(one, other);
}
