import type { MachineView } from '../../hostd/contract/machines.ts';
import type { Machine } from '../../prisma/generated/client.ts';
import type { HostClient } from '../../server/hosts/host-client.ts';
import type { WorkerDeps } from '../deps.ts';
import { endMachineRow, removeMachine } from '../machines/open-machine.ts';
import { eachOf } from './each-of.ts';
import { listedHosts } from './listed-hosts.ts';

/** A row is written before its machine is made, and a machine may be on its way out: younger ones are left alone. */
const SETTLE_MS = 60_000;

/** Brings rows of live machines and what hosts really run in line. A host that does not answer changes nothing. */
export async function reapMachines(deps: WorkerDeps): Promise<void> {
  await eachOf(await listedHosts(deps), async ({ hostId, client }) => {
    const running = await client.machines();
    const known = new Map(running.map((view) => [view.machineId, view]));
    await eachOf(
      [
        () => eachOf(running, (view) => removeStranger(deps, client, view)),
        async () => {
          const rows = await deps.systemDb.machine.findMany({ where: { hostId, endedAt: null } });
          await eachOf(rows, (row) => settleRow(deps, row, known.get(row.id) ?? null));
        },
      ],
      (part) => part(),
    );
  });
}

async function removeStranger(deps: WorkerDeps, client: HostClient, view: MachineView): Promise<void> {
  if (ageMs(deps, new Date(view.createdAt)) < SETTLE_MS) return;
  if ((await deps.systemDb.machine.count({ where: { id: view.machineId, endedAt: null } })) > 0) return;
  deps.log.warn({ event: 'machine.orphan_removed', machineId: view.machineId }, 'machine without a live row removed');
  await client.remove(view.machineId, view.lease);
}

/** Lost ones are marked; ones that nobody owns any more are removed. Sessions see to their own: their driver notices. */
async function settleRow(deps: WorkerDeps, row: Machine, view: MachineView | null): Promise<void> {
  if (ageMs(deps, row.createdAt) < SETTLE_MS) return;
  const owned = await isOwned(deps, row);
  if (!owned) return removeMachine(deps, row);
  if (view === null && row.bootId !== null && row.sessionId === null) await endMachineRow(deps, row, 'lost');
}

async function isOwned(deps: WorkerDeps, row: Machine): Promise<boolean> {
  if (row.sessionId) return (await deps.systemDb.session.count({ where: { id: row.sessionId, machineId: row.id } })) > 0;
  if (row.templateId) return (await deps.systemDb.template.count({ where: { id: row.templateId, state: 'building' } })) > 0;
  if (row.checkId)
    return (await deps.systemDb.check.count({ where: { id: row.checkId, state: { in: ['queued', 'running'] } } })) > 0;
  return false;
}

function ageMs(deps: WorkerDeps, at: Date): number {
  return deps.clock.now().getTime() - at.getTime();
}
