import type { Tx } from '../db.ts';
import { newId } from '../ids.ts';
import { enqueue } from '../jobs/enqueue.ts';
import { lockSession, type SessionRef } from './append-event.ts';
import { decideWake, type WakeCause } from './decisions.ts';
import { type Actor, transition } from './transition.ts';

export type WakeInput = { cause: WakeCause; actor: Actor; messageId?: string; repoEventId?: string; now?: Date };

export type WakeResult =
  /** Asleep until now; the ledger has a row for it. */
  | { kind: 'waking'; wakeId: string | null }
  /** Awake or already on its way. */
  | { kind: 'awake' }
  | { kind: 'waiting'; reason: 'failed_needs_person' }
  | { kind: 'refused'; reason: 'ended' };

const REASONS: Record<WakeCause, string> = {
  check_failed: 'a check failed',
  review_comment: 'a reviewer commented',
  message: 'a message arrived',
  click: 'woken by a member',
};

/**
 * Something concerns this session: makes sure it is driven, and wakes it when it sleeps. Rows about the cause (a message,
 * say) are written in the same transaction, before or after this call.
 *
 * A session that is just falling asleep gets its ledger row here too: its driver finds what is queued and turns around.
 */
export async function wakeSession(tx: Tx, ref: SessionRef, input: WakeInput): Promise<WakeResult> {
  await lockSession(tx, ref.sessionId);
  const session = await tx.session.findUniqueOrThrow({ where: { id: ref.sessionId } });
  const decision = decideWake({ state: session.state, hasSnapshot: session.snapshotId !== null, cause: input.cause });
  switch (decision.kind) {
    case 'refuse':
      return { kind: 'refused', reason: decision.reason };
    case 'wait':
      return { kind: 'waiting', reason: decision.reason };
    case 'drive': {
      const wakeId = session.state === 'suspending' ? await joinWake(tx, ref, input) : null;
      await enqueue(tx, 'drive-session', ref);
      return wakeId === null ? { kind: 'awake' } : { kind: 'waking', wakeId };
    }
    case 'move': {
      const wakeId = decision.to === 'resuming' ? await addWake(tx, ref, input) : null;
      const moved = await transition(tx, ref, {
        expected: session,
        to: decision.to,
        reason: REASONS[input.cause],
        actor: input.actor,
        drive: true,
        now: input.now,
      });
      if (!moved.ok) throw new Error(`session ${ref.sessionId} changed under its row lock: ${moved.reason}`);
      return { kind: 'waking', wakeId };
    }
  }
}

/** A session that is to turn around already does so for this too. */
async function joinWake(tx: Tx, ref: SessionRef, input: WakeInput): Promise<string> {
  const pending = await tx.wake.findFirst({ where: { sessionId: ref.sessionId, outcome: 'pending' } });
  return pending ? pending.id : addWake(tx, ref, input);
}

async function addWake(tx: Tx, { orgId, sessionId }: SessionRef, input: WakeInput): Promise<string> {
  const { id } = await tx.wake.create({
    data: {
      id: newId('wake'),
      orgId,
      sessionId,
      cause: input.cause,
      repoEventId: input.repoEventId,
      messageId: input.messageId,
      requestedAt: input.now ?? new Date(),
    },
  });
  return id;
}
