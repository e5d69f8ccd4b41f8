import type { Change } from '../../prisma/generated/client.ts';
import { recordAudit } from '../audit/record.ts';
import type { Clock } from '../clock.ts';
import { type Db, type Tx, withOrg } from '../db.ts';
import { recordRepoEvent } from '../forge/record-repo-event.ts';
import { publishNotice } from '../realtime/publish.ts';
import { dropLeftBranch, endSession } from './end-session.ts';
import { requireOpenChange } from './require-change.ts';

export type CloseDeps = { db: Db; forgeDir: string; clock: Clock };
export type CloseInput = { orgId: string; repositoryId: string; number: number; userId: string };

/** Gives a change up without merging it; its session ends. @throws not_found; conflict when it is merged or closed */
export async function closeChange(deps: CloseDeps, { orgId, userId, ...key }: CloseInput): Promise<void> {
  const change = await withOrg(deps.db, orgId, async (tx) => {
    const open = await requireOpenChange(tx, key);
    await recordClose(tx, { change: open, userId, now: deps.clock.now() });
    return open;
  });
  await dropLeftBranch(deps, change);
}

async function recordClose(tx: Tx, { change, userId, now }: { change: Change; userId: string; now: Date }): Promise<void> {
  const { orgId } = change;
  await tx.change.update({ where: { id: change.id }, data: { state: 'closed', endedAt: now } });
  await tx.check.updateMany({ where: { changeId: change.id, state: 'queued' }, data: { state: 'superseded' } });
  await recordRepoEvent(tx, change, {
    kind: 'closed',
    commitSha: change.headSha,
    deliveryId: `closed:${change.id}`,
    payload: { number: change.number },
  });
  await recordAudit(tx, { orgId, actor: userId, action: 'change.closed', target: change.id, details: { number: change.number } });
  if (change.sessionId) {
    const actor = { kind: 'user' as const, userId };
    await endSession(tx, { orgId, sessionId: change.sessionId }, { reason: 'change closed', actor, now });
  }
  publishNotice(tx, { kind: 'change', orgId, changeId: change.id, sessionId: change.sessionId });
  publishNotice(tx, { kind: 'repository', orgId, repositoryId: change.repositoryId });
}
