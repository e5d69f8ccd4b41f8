import { replicationOf, storeKeyOf } from '../../server/hosts/store-key.ts';
import type { WorkerDeps } from '../deps.ts';
import { listedHosts } from './listed-hosts.ts';

const COLLECT_EVERY_MS = 12 * 3_600_000;
/** Per process: collecting once too often costs a listing and removes nothing that is needed. */
const collectedAt = new Map<string, number>();

/**
 * Asks again for copies that a host was killed over or could not make, and has each org's objects collected twice a day. Does
 * nothing on hosts without an object store.
 */
export async function reapCopies(deps: WorkerDeps): Promise<void> {
  const [secret] = deps.storeSecrets;
  if (secret === undefined) return;
  for (const { client } of await listedHosts(deps)) {
    if ((await client.host()).objectStore === null) continue;
    for (const { snapshotId, durability, replication } of await client.snapshots()) {
      if (durability === 'replicated' || (replication !== null && replication.state !== 'failed')) continue;
      const row = await deps.systemDb.snapshot.findFirst({ where: { id: snapshotId, deletedAt: null } });
      const asked = row && replicationOf(deps.storeSecrets, row.orgId, row.sessionId ?? snapshotId);
      if (asked) await client.replicate(snapshotId, asked);
    }
    const now = deps.clock.now().getTime();
    for (const { id } of await deps.systemDb.organization.findMany({ select: { id: true } })) {
      if (now - (collectedAt.get(id) ?? 0) < COLLECT_EVERY_MS) continue;
      collectedAt.set(id, now);
      const result = await client.collect({ key: storeKeyOf(secret, id) });
      deps.log.info({ event: 'store.collected', orgId: id, ...result }, 'what no snapshot needs was collected');
    }
  }
}
