import { type Tx, withOrg } from '../../server/db.ts';
import { lockSession, type SessionRef } from '../../server/sessions/append-event.ts';
import { decideWakeAgain } from '../../server/sessions/decisions.ts';
import { wakeSession } from '../../server/sessions/wake-session.ts';
import type { WorkerDeps } from '../deps.ts';
import { silenceOf } from './silent-host.ts';

/**
 * Wakes sessions that lie asleep though something waits for them: their wake failed for a reason that may have passed, or there
 * was no room. One that was put to sleep with messages waiting is left alone: nothing asked for it since.
 */
export async function wakeAgain(deps: WorkerDeps): Promise<void> {
  const now = deps.clock.now();
  for (const { id, orgId, hostId } of await findSleepers(deps)) {
    if ((await silenceOf(deps, hostId, now)) > 0) continue;
    await withOrg(deps.db, orgId, (tx) => wakeOne(tx, { orgId, sessionId: id }, now));
  }
}

/** Asleep, with a wake that is still wanted or a message that has no answer. Those that have waited longest come first. */
function findSleepers(deps: WorkerDeps): Promise<{ id: string; orgId: string; hostId: string | null }[]> {
  return deps.systemDb.$queryRaw`
    select s.id, s."orgId", s."hostId" from "Session" s where s.state = 'suspended' and (
      exists (select 1 from "Wake" w where w."sessionId" = s.id and w.outcome = 'pending')
      or exists (select 1 from "Message" m where m."sessionId" = s.id and m.state in ('queued', 'delivered')))
    order by s."stateSince"`;
}

async function wakeOne(tx: Tx, ref: SessionRef, now: Date): Promise<void> {
  const { sessionId } = ref;
  await lockSession(tx, sessionId);
  const { state, stateSince } = await tx.session.findUniqueOrThrow({ where: { id: sessionId } });
  if (state !== 'suspended') return;
  const failures = await countFailures(tx, sessionId);
  const isWanted = (await tx.wake.count({ where: { sessionId, outcome: 'pending' } })) > 0;
  if (!(isWanted || failures > 0) || !decideWakeAgain({ failures, stateSince }, now)) return;
  const open = { sessionId, state: { in: ['queued' as const, 'delivered' as const] } };
  const message = await tx.message.findFirst({ where: open, orderBy: { seq: 'asc' } });
  const cause = !message || message.kind === 'task' ? 'message' : message.kind;
  await wakeSession(tx, ref, { cause, actor: { kind: 'worker' }, messageId: message?.id, now });
}

/** Resumes that did not come about since it last ran. */
async function countFailures(tx: Tx, sessionId: string): Promise<number> {
  const ran = await tx.sessionTransition.findFirst({ where: { sessionId, to: 'running' }, orderBy: { id: 'desc' } });
  return tx.sessionTransition.count({ where: { sessionId, from: 'resuming', to: 'suspended', id: { gt: ran?.id ?? 0n } } });
}
