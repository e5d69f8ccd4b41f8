import { recordAudit } from '../audit/record.ts';
import type { Tx } from '../db.ts';
import { newId } from '../ids.ts';
import { publishNotice } from '../realtime/publish.ts';
import { endSession } from './end-session.ts';
import { requireOpenChange } from './require-change.ts';

export type CloseInput = { orgId: string; repositoryId: string; number: number; userId: string; now: Date };

/** Gives a change up without merging it; its session ends. @throws not_found; conflict when it is merged or closed */
export async function closeChange(tx: Tx, { orgId, userId, now, ...key }: CloseInput): Promise<void> {
  const change = await requireOpenChange(tx, key);
  await tx.change.update({ where: { id: change.id }, data: { state: 'closed', endedAt: now } });
  await tx.check.updateMany({ where: { changeId: change.id, state: 'queued' }, data: { state: 'superseded' } });
  await tx.repoEvent.create({
    data: {
      id: newId('repoEvent'),
      orgId,
      repositoryId: change.repositoryId,
      kind: 'closed',
      changeId: change.id,
      commitSha: change.headSha,
      deliveryId: `closed:${change.id}`,
      payload: { number: change.number },
    },
  });
  await recordAudit(tx, { orgId, actor: userId, action: 'change.closed', target: change.id, details: { number: change.number } });
  if (change.sessionId)
    await endSession(
      tx,
      { orgId, sessionId: change.sessionId },
      { reason: 'change closed', actor: { kind: 'user', userId }, now },
    );
  publishNotice(tx, { kind: 'change', orgId, changeId: change.id, sessionId: change.sessionId });
  publishNotice(tx, { kind: 'repository', orgId, repositoryId: change.repositoryId });
}
