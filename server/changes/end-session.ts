import type { Change } from '../../prisma/generated/client.ts';
import { type Db, type Tx, withOrg } from '../db.ts';
import { deleteSessionBranch } from '../forge/delete-branch.ts';
import { lockSession } from '../sessions/append-event.ts';
import { canTransition, isEnded } from '../sessions/states.ts';
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

/** A session that had ended before its change did has nobody left to remove its branch. */
export async function dropLeftBranch({ db, forgeDir }: { db: Db; forgeDir: string }, change: Change): Promise<void> {
  const session = await withOrg(db, change.orgId, (tx) => tx.session.findUnique({ where: { id: change.sessionId ?? '' } }));
  if (session && !isEnded(session.state)) return;
  await deleteSessionBranch(forgeDir, change);
}
