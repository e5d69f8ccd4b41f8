import type { SnapshotView } from '../../hostd/contract/machines.ts';
import type { Snapshot } from '../../prisma/generated/client.ts';
import type { HostClient } from '../../server/hosts/host-client.ts';
import type { WorkerDeps } from '../deps.ts';
import { dropSnapshot } from '../machines/drop-snapshots.ts';
import { eachOf } from './each-of.ts';
import { listedHosts } from './listed-hosts.ts';

const SETTLE_MS = 60_000;

/** Removes snapshots nobody will wake or fork from: of rows that moved on, and on hosts without any row. */
export async function reapSnapshots(deps: WorkerDeps): Promise<void> {
  const before = new Date(deps.clock.now().getTime() - SETTLE_MS);
  await eachOf([dropUnneeded, removeStrangers], (part) => part(deps, before));
}

async function dropUnneeded(deps: WorkerDeps, before: Date): Promise<void> {
  const rows = await deps.systemDb.snapshot.findMany({
    where: { deletedAt: null, createdAt: { lt: before } },
    select: { id: true, orgId: true, hostId: true, sessionId: true, templateId: true },
  });
  await eachOf(rows, async (row) => {
    if (!(await isNeeded(deps, row))) await dropSnapshot(deps, row);
  });
}

/** A session's last one; a template's while it is current, or while a session that came from it has not ended. */
async function isNeeded(deps: WorkerDeps, row: Pick<Snapshot, 'id' | 'sessionId' | 'templateId'>): Promise<boolean> {
  if (row.sessionId) return (await deps.systemDb.session.count({ where: { id: row.sessionId, snapshotId: row.id } })) > 0;
  if (!row.templateId) return false;
  const current = await deps.systemDb.template.count({ where: { id: row.templateId, state: 'ready' } });
  if (current > 0) return true;
  return (await deps.systemDb.session.count({ where: { templateId: row.templateId, state: { not: 'stopped' } } })) > 0;
}

async function removeStrangers(deps: WorkerDeps, before: Date): Promise<void> {
  await eachOf(await listedHosts(deps), async ({ client }) => {
    await eachOf(await client.snapshots(), (view) => removeStranger(deps, client, view, before));
  });
}

async function removeStranger(
  deps: WorkerDeps,
  client: HostClient,
  { snapshotId, manifest }: SnapshotView,
  before: Date,
): Promise<void> {
  if (new Date(manifest.createdAt) > before) return;
  if ((await deps.systemDb.snapshot.count({ where: { id: snapshotId, deletedAt: null } })) > 0) return;
  // A suspend whose result was never heard: its session asks again for the same snapshot.
  if ((await deps.systemDb.machine.count({ where: { id: manifest.machineId, endedAt: null } })) > 0) return;
  deps.log.warn({ event: 'snapshot.orphan_removed', snapshotId }, 'snapshot without a row removed');
  await client.removeSnapshot(snapshotId);
}
