import { recordAudit } from '../audit/record.ts';
import type { Tx } from '../db.ts';
import { AppError } from '../errors.ts';
import { decide, type OrgPolicy, type PolicyActor } from '../policy/policy.ts';
import type { SessionRef } from './append-event.ts';
import { requireRoom, requireSession } from './control-session.ts';
import { queueMessage } from './queue-message.ts';

/**
 * A person says something to the session's agent; it wakes for it.
 *
 * @throws not_found, policy_denied (also when it would have to be woken and there is no room), or invalid_transition when the session has ended
 */
export async function sendMessage(
  tx: Tx,
  ref: SessionRef,
  { text, actor, policy }: { text: string; actor: PolicyActor & { name: string }; policy: OrgPolicy },
): Promise<{ messageId: string }> {
  const session = await requireSession(tx, ref.sessionId);
  const decision = decide(actor, policy, { action: 'session.send', context: { promptBytes: Buffer.byteLength(text) } });
  if (!decision.allow) throw new AppError('policy_denied', { publicMessage: decision.reason });
  if (session.state === 'suspended' || session.state === 'failed') await requireRoom(tx, ref.orgId, { actor, policy });
  const queued = await queueMessage(tx, ref, {
    kind: 'message',
    text,
    actor: { kind: 'user', userId: actor.userId },
    author: { id: actor.userId, name: actor.name },
  });
  if (!queued.ok) {
    throw new AppError('invalid_transition', {
      publicMessage: 'This session has ended and takes no more messages. Start a new one.',
      details: { from: session.state, to: 'running' },
    });
  }
  await recordAudit(tx, { orgId: ref.orgId, actor: actor.userId, action: 'session.message', target: ref.sessionId });
  return { messageId: queued.messageId };
}
