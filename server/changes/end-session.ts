import type { Tx } from '../db.ts';
import { lockSession } from '../sessions/append-event.ts';
import { canTransition } from '../sessions/states.ts';
import { type Actor, transition } from '../sessions/transition.ts';

/** The change a session worked for is over, so the session ends. One that is ending already is left alone. */
export async function endSession(
  tx: Tx,
  ref: { orgId: string; sessionId: string },
  input: { reason: string; actor: Actor; now: Date },
): Promise<void> {
  await lockSession(tx, ref.sessionId);
  const session = await tx.session.findUniqueOrThrow({ where: { id: ref.sessionId } });
  if (!canTransition(session.state, 'stopping')) return;
  const moved = await transition(tx, ref, { expected: session, to: 'stopping', ...input, drive: true });
  if (!moved.ok) throw new Error(`session ${ref.sessionId} changed under its row lock: ${moved.reason}`);
}
