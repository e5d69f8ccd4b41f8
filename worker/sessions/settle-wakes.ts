import type { Wake } from '../../prisma/generated/client.ts';
import type { Tx } from '../../server/db.ts';
import { appendEvent, type SessionRef } from '../../server/sessions/append-event.ts';
import type { WakeCause } from '../../server/sessions/decisions.ts';

/*
 * The wake ledger's life: `pending` when asked for, then `delivered` once what woke the session has reached the agent (a
 * click has nothing to deliver: `resumed`), or `failed` with a reason.
 */
export type Continuity = { sameBootId: boolean; sameAgentProcess: boolean };

/** The guest answered, and this is what was found in it. */
export async function markResumed(tx: Tx, ref: SessionRef, continuity: Continuity, now: Date): Promise<void> {
  const pending = await tx.wake.findMany({ where: { sessionId: ref.sessionId, outcome: 'pending', resumedAt: null } });
  await tx.wake.updateMany({ where: { id: { in: pending.map(({ id }) => id) } }, data: { resumedAt: now, ...continuity } });
  for (const wake of pending) {
    if (wake.messageId === null) await settle(tx, ref, { ...wake, ...continuity }, 'resumed', now);
  }
}

/** The prompt that this message became was written to the agent. */
export async function markDelivered(tx: Tx, ref: SessionRef, messageId: string, now: Date): Promise<void> {
  const wakes = await tx.wake.findMany({ where: { sessionId: ref.sessionId, messageId, outcome: 'pending' } });
  for (const wake of wakes) await settle(tx, ref, wake, 'delivered', now);
}

async function settle(tx: Tx, ref: SessionRef, wake: Wake, outcome: 'resumed' | 'delivered', now: Date): Promise<void> {
  const latencyMs = now.getTime() - wake.requestedAt.getTime();
  // A session that had not fallen asleep yet when it was asked to wake never left its machine.
  const sameBootId = wake.sameBootId ?? true;
  const sameAgentProcess = wake.sameAgentProcess ?? true;
  await tx.wake.update({
    where: { id: wake.id },
    data: { outcome, latencyMs, sameBootId, sameAgentProcess, ...(outcome === 'delivered' ? { deliveredAt: now } : {}) },
  });
  await appendEvent(tx, ref, { kind: 'woke', cause: wake.cause as WakeCause, latencyMs, sameBootId, sameAgentProcess });
}

/** The resume did not come about; the next wake tries again. */
export async function markFailed(tx: Tx, ref: SessionRef, detail: string): Promise<void> {
  await tx.wake.updateMany({ where: { sessionId: ref.sessionId, outcome: 'pending' }, data: { outcome: 'failed', detail } });
}
