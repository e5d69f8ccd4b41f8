import { hostViewSchema } from '../../hostd/contract/machines.ts';
import type { Tx } from '../db.ts';
import { listWeaknesses } from '../hosts/isolation.ts';

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
      /** What keeps it from keeping organizations apart; null when it has not said. */
      weaknesses: view.success ? listWeaknesses(view.data) : null,
    };
  });
}

/** Weaknesses of all hosts together, each once. */
export async function listInstallationWeaknesses(tx: Tx): Promise<string[]> {
  const hosts = await tx.host.findMany({ select: { info: true } });
  const views = hosts.map(({ info }) => hostViewSchema.safeParse(info));
  return [...new Set(views.flatMap((view) => (view.success ? listWeaknesses(view.data) : [])))];
}
