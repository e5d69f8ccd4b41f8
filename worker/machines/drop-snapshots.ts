import type { Session } from '../../prisma/generated/client.ts';
import { withOrg } from '../../server/db.ts';
import type { WorkerDeps } from '../deps.ts';

/**
 * Removes a session's snapshots except the one to keep. Best effort: whatever is left, the reaper finds by its row.
 * @param keep null removes all
 */
export async function dropOldSnapshots(
  deps: WorkerDeps,
  session: Pick<Session, 'id' | 'orgId'>,
  keep: string | null,
): Promise<void> {
  const old = await withOrg(deps.db, session.orgId, (tx) =>
    tx.snapshot.findMany({ where: { sessionId: session.id, deletedAt: null, ...(keep ? { id: { not: keep } } : {}) } }),
  );
  for (const snapshot of old) {
    try {
      await dropSnapshot(deps, snapshot);
    } catch (error) {
      deps.log.warn({ event: 'snapshot.not_dropped', snapshotId: snapshot.id, err: error }, 'snapshot not dropped');
    }
  }
}

/** Rejects with HostError when its host does not answer. */
export async function dropSnapshot(deps: WorkerDeps, snapshot: { id: string; orgId: string; hostId: string }): Promise<void> {
  await (await deps.hosts.client(snapshot.hostId)).removeSnapshot(snapshot.id);
  const deletedAt = deps.clock.now();
  await withOrg(deps.db, snapshot.orgId, (tx) => tx.snapshot.updateMany({ where: { id: snapshot.id }, data: { deletedAt } }));
}
