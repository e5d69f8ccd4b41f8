import type { Tx } from '../db.ts';
import { newId } from '../ids.ts';
import { enqueue } from '../jobs/enqueue.ts';
import { appendEvent, lockSession, type SessionRef } from './append-event.ts';
import { whyNoRoom } from './concurrency.ts';
import { decideWake, type WakeCause } from './decisions.ts';
import { type Actor, transition } from './transition.ts';

export type WakeInput = { cause: WakeCause; actor: Actor; messageId?: string; repoEventId?: string; now?: Date };

export type WakeResult =
  /** Asleep until now; the ledger has a row for it. */
  | { kind: 'waking'; wakeId: string | null }
  /** Awake or already on its way. */
  | { kind: 'awake' }
  | { kind: 'waiting'; reason: 'failed_needs_person' | 'no_room' }
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
 * Where the organization has as many awake as it may, it stays asleep with its ledger row: the sweep wakes it when there is room.
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
      // A failed one is started by a person, who was asked for room.
      const lack = session.state === 'suspended' ? await whyNoRoom(tx, ref.orgId) : null;
      if (lack !== null) return waitForRoom(tx, ref, input, lack);
      const wakeId = decision.to === 'resuming' ? await joinWake(tx, ref, input) : null;
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

async function waitForRoom(tx: Tx, ref: SessionRef, input: WakeInput, lack: string): Promise<WakeResult> {
  if ((await findPending(tx, ref)) === null) {
    await addWake(tx, ref, input);
    const detail = `${lack}; it wakes by itself when one has ended or fallen asleep`;
    await appendEvent(tx, ref, { kind: 'progress', label: 'Waits for room to wake', ms: null, detail });
  }
  return { kind: 'waiting', reason: 'no_room' };
}

/** A session that is to turn around, or waits for room, does so for this too. */
async function joinWake(tx: Tx, ref: SessionRef, input: WakeInput): Promise<string> {
  return (await findPending(tx, ref)) ?? addWake(tx, ref, input);
}

async function findPending(tx: Tx, { sessionId }: SessionRef): Promise<string | null> {
  return (await tx.wake.findFirst({ where: { sessionId, outcome: 'pending' } }))?.id ?? null;
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
