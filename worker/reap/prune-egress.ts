import { withOrg } from '../../server/db.ts';
import type { WorkerDeps } from '../deps.ts';

const KEEP_DAYS = 30;
/** Of one organization; a machine that floods its log shortens how far back its organization can look. */
const KEEP_ROWS = 500_000;

/** Bounds the egress log by age and by number. */
export async function pruneEgress(deps: WorkerDeps, keepRows = KEEP_ROWS): Promise<void> {
  const before = new Date(deps.clock.now().getTime() - KEEP_DAYS * 86_400_000);
  for (const { id: orgId } of await deps.systemDb.organization.findMany({ select: { id: true } })) {
    await withOrg(deps.db, orgId, async (tx) => {
      const first = await tx.egressEntry.findFirst({ orderBy: { id: 'desc' }, skip: keepRows, select: { id: true } });
      await tx.egressEntry.deleteMany({ where: { OR: [{ at: { lt: before } }, ...(first ? [{ id: { lte: first.id } }] : [])] } });
    });
  }
}
