import type { Session } from '../../prisma/generated/client.ts';
import { recordAudit } from '../audit/record.ts';
import type { Tx } from '../db.ts';
import { AppError, notFound } from '../errors.ts';
import { enqueue } from '../jobs/enqueue.ts';
import { decide, type OrgPolicy, type PolicyActor } from '../policy/policy.ts';
import { publishNotice } from '../realtime/publish.ts';
import { lockSession, type SessionRef } from './append-event.ts';
import { countConcurrentSessions } from './concurrency.ts';
import { acceptsInput, type SessionState } from './states.ts';
import { transition } from './transition.ts';
import { wakeSession } from './wake-session.ts';

/*
 * What a person may ask of a session. Asking for what already is, or is on its way, succeeds and changes nothing; what the
 * state does not allow is `invalid_transition` with from and to.
 */

/** Reads the session and holds its row. @throws not_found */
export async function requireSession(tx: Tx, sessionId: string): Promise<Session> {
  const session = await tx.session.findUnique({ where: { id: sessionId } });
  if (!session) throw notFound('session');
  await lockSession(tx, sessionId);
  return tx.session.findUniqueOrThrow({ where: { id: sessionId } });
}

type Intent = { to: SessionState; already: readonly SessionState[]; reason: string };

async function moveTo(tx: Tx, { orgId, sessionId }: SessionRef, userId: string, intent: Intent): Promise<void> {
  const session = await requireSession(tx, sessionId);
  if (session.state === intent.to || intent.already.includes(session.state)) return;
  const moved = await transition(
    tx,
    { orgId, sessionId },
    {
      expected: session,
      to: intent.to,
      reason: intent.reason,
      actor: { kind: 'user', userId },
      drive: true,
    },
  );
  if (!moved.ok) throw invalidTransition(session.state, intent.to);
}

export function invalidTransition(from: SessionState, to: SessionState): AppError {
  return new AppError('invalid_transition', {
    publicMessage: `The session is ${from}; it cannot become ${to} from there.`,
    details: { from, to },
  });
}

export async function suspendSession(tx: Tx, ref: SessionRef, userId: string): Promise<void> {
  await moveTo(tx, ref, userId, { to: 'suspending', already: ['suspended'], reason: 'put to sleep by a member' });
}

export async function stopSession(tx: Tx, ref: SessionRef, userId: string): Promise<void> {
  await moveTo(tx, ref, userId, { to: 'stopping', already: ['stopped'], reason: 'ended by a member' });
}

export type Asker = { actor: PolicyActor; policy: OrgPolicy };

/** @throws policy_denied; invalid_transition when it has ended or failed: a failed one is retried, not woken */
export async function wakeByClick(tx: Tx, ref: SessionRef, asker: Asker): Promise<void> {
  const session = await requireSession(tx, ref.sessionId);
  if (session.state === 'failed' || !acceptsInput(session.state)) throw invalidTransition(session.state, 'resuming');
  if (session.state === 'suspended') await requireRoom(tx, ref.orgId, asker);
  await wakeSession(tx, ref, { cause: 'click', actor: { kind: 'user', userId: asker.actor.userId } });
}

/**
 * Starts a failed session again: from its last snapshot when it has one, else from a fresh machine.
 *
 * @throws policy_denied; invalid_transition when it has not failed
 */
export async function retrySession(tx: Tx, ref: SessionRef, asker: Asker): Promise<void> {
  const session = await requireSession(tx, ref.sessionId);
  if (session.state !== 'failed') throw invalidTransition(session.state, 'provisioning');
  await requireRoom(tx, ref.orgId, asker);
  await wakeSession(tx, ref, { cause: 'click', actor: { kind: 'user', userId: asker.actor.userId } });
}

/** @throws policy_denied when as many sessions as the organization may have are awake */
export async function requireRoom(tx: Tx, orgId: string, { actor, policy }: Asker): Promise<void> {
  const context = { concurrentSessions: await countConcurrentSessions(tx, orgId) };
  const decision = decide(actor, policy, { action: 'session.wake', context });
  if (!decision.allow) throw new AppError('policy_denied', { publicMessage: decision.reason });
}

/** Asks the agent to end the turn it is in. Its driver passes it on; with no turn under way there is nothing to do. */
export async function cancelTurn(tx: Tx, ref: SessionRef, userId: string, now: Date): Promise<void> {
  await requireSession(tx, ref.sessionId);
  const { count } = await tx.message.updateMany({
    where: { sessionId: ref.sessionId, state: 'delivered', cancelAt: null },
    data: { cancelAt: now },
  });
  if (count === 0) return;
  await recordAudit(tx, { orgId: ref.orgId, actor: userId, action: 'session.turn_cancelled', target: ref.sessionId });
  await enqueue(tx, 'drive-session', ref);
  publishNotice(tx, { kind: 'session', ...ref });
}
