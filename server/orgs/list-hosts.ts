import { hostViewSchema } from '../../hostd/contract/machines.ts';
import type { Tx } from '../db.ts';

/** A host that has not reported for this long is shown as away. */
const AWAY_MS = 120_000;

export async function listHosts(tx: Tx, now: Date) {
  const hosts = await tx.host.findMany({ orderBy: { createdAt: 'asc' } });
  const machines = await tx.machine.groupBy({ by: ['hostId'], where: { endedAt: null }, _count: true });
  const machinesOn = new Map(machines.map((row) => [row.hostId, row._count]));
  return hosts.map((host) => {
    const view = hostViewSchema.safeParse(host.info);
    return {
      id: host.id,
      accelerator: host.accelerator,
      online: now.getTime() - host.lastSeenAt.getTime() < AWAY_MS,
      lastSeenAt: host.lastSeenAt,
      yourMachines: machinesOn.get(host.id) ?? 0,
      /** Null when it reported in a form this version does not know. */
      view: view.success ? view.data : null,
    };
  });
}
