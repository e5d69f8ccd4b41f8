import type { Prisma, Session } from '../../prisma/generated/client.ts';
import { recordAudit } from '../audit/record.ts';
import type { Tx } from '../db.ts';
import { enqueue } from '../jobs/enqueue.ts';
import { appendEvent, type SessionRef } from './append-event.ts';
import { canTransition, isEnded, SESSION_RULES, type SessionState } from './states.ts';

/** Who moved it: a person, the session's driver or reaper, or something a forge told us. */
export type Actor = { kind: 'user'; userId: string } | { kind: 'worker' } | { kind: 'event'; repoEventId: string };

export function actorId(actor: Actor): string {
  if (actor.kind === 'user') return actor.userId;
  return actor.kind === 'event' ? actor.repoEventId : 'worker';
}

export type TransitionInput = {
  /** What the caller read; the change is made only if it is still so. */
  expected: { state: SessionState; version: number };
  to: SessionState;
  /** For people, in a few words: `nothing left to do`, `asked by a member`. */
  reason: string;
  actor: Actor;
  /** Columns that change together with the state. */
  set?: Pick<
    Prisma.SessionUncheckedUpdateManyInput,
    | 'machineId'
    | 'snapshotId'
    | 'hostId'
    | 'templateId'
    | 'lease'
    | 'stateReason'
    | 'agentSessionId'
    | 'agentOffset'
    | 'agentModel'
  >;
  /** Adds the `drive-session` job, for callers that do not drive the session themselves. */
  drive: boolean;
  now?: Date;
};

export type TransitionResult =
  | { ok: true; session: Session }
  | { ok: false; reason: 'lost_race'; state: SessionState; version: number }
  | { ok: false; reason: 'invalid_transition'; from: SessionState; to: SessionState };

/**
 * The only writer of a session's state. Compare-and-set on state and version, then in the same transaction: the log row,
 * the deadline of a passing state, the timeline row, the job and, when a person caused it, the audit entry. A lost race is
 * a result, not an error: the world moved on and the caller reads again.
 *
 * @throws when the session does not exist in this organization
 */
export async function transition(tx: Tx, ref: SessionRef, input: TransitionInput): Promise<TransitionResult> {
  const { expected, to, reason, actor, set } = input;
  if (!canTransition(expected.state, to)) return { ok: false, reason: 'invalid_transition', from: expected.state, to };

  const now = input.now ?? new Date();
  const { deadlineMs } = SESSION_RULES[to];
  const { count } = await tx.session.updateMany({
    where: { id: ref.sessionId, orgId: ref.orgId, state: expected.state, version: expected.version },
    data: {
      stateReason: null,
      ...set,
      state: to,
      version: expected.version + 1,
      stateSince: now,
      deadlineAt: deadlineMs === null ? null : new Date(now.getTime() + deadlineMs),
      ...(isEnded(to) ? { endedAt: now } : {}),
    },
  });
  const session = await tx.session.findUniqueOrThrow({ where: { id: ref.sessionId } });
  if (count === 0) return { ok: false, reason: 'lost_race', state: session.state, version: session.version };

  await tx.sessionTransition.create({
    data: {
      orgId: ref.orgId,
      sessionId: ref.sessionId,
      from: expected.state,
      to,
      reason,
      actor: actorId(actor),
      machineId: session.machineId,
      at: now,
    },
  });
  await appendEvent(tx, ref, { kind: 'transition', from: expected.state, to, reason });
  if (actor.kind === 'user') {
    await recordAudit(tx, {
      orgId: ref.orgId,
      actor: actor.userId,
      action: 'session.transition',
      target: ref.sessionId,
      details: { from: expected.state, to, reason },
    });
  }
  if (input.drive) await enqueue(tx, 'drive-session', ref);
  return { ok: true, session };
}
