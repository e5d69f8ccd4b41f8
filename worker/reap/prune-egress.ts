import { withOrg } from '../../server/db.ts';
import type { WorkerDeps } from '../deps.ts';
import { deleteInBatches } from './delete-in-batches.ts';
import { eachOf } from './each-of.ts';

const KEEP_DAYS = 30;
/** Of one organization; a machine that floods its log shortens how far back its organization can look. */
const KEEP_ROWS = 500_000;

/** Bounds the egress log by age and by number. */
export async function pruneEgress(deps: WorkerDeps, keepRows = KEEP_ROWS): Promise<void> {
  const before = new Date(deps.clock.now().getTime() - KEEP_DAYS * 86_400_000);
  await eachOf(await deps.systemDb.organization.findMany({ select: { id: true } }), async ({ id: orgId }) => {
    const first = await withOrg(deps.db, orgId, (tx) =>
      tx.egressEntry.findFirst({ orderBy: { id: 'desc' }, skip: keepRows, select: { id: true } }),
    );
    const tooMany = first?.id ?? -1n;
    await deleteInBatches(
      deps.db,
      orgId,
      (tx, rowsMax) => tx.$executeRaw`
        delete from "EgressEntry" where id in (
          select id from "EgressEntry" where at < ${before} or id <= ${tooMany} limit ${rowsMax})`,
    );
  });
}
