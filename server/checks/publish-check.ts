import type { Change, Check } from '../../prisma/generated/client.ts';
import type { Tx } from '../db.ts';
import { publishNotice } from '../realtime/publish.ts';

/** Tells open pages about a check; returns the change it belongs to. */
export async function publishCheck(tx: Tx, check: Check): Promise<Change | null> {
  const change = check.changeId ? await tx.change.findUnique({ where: { id: check.changeId } }) : null;
  if (change) publishNotice(tx, { kind: 'change', orgId: check.orgId, changeId: change.id, sessionId: change.sessionId });
  return change;
}
