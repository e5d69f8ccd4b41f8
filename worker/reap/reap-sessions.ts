import { withOrg } from '../../server/db.ts';
import { enqueue } from '../../server/jobs/enqueue.ts';
import { appendEvent } from '../../server/sessions/append-event.ts';
import { decideFailedMachine, decideOverdue } from '../../server/sessions/decisions.ts';
import { PASSING_STATES, type SessionState } from '../../server/sessions/states.ts';
import { transition } from '../../server/sessions/transition.ts';
import type { WorkerDeps } from '../deps.ts';

/** Settles sessions past their deadline, and gives every session that should be driven a driver. */
export async function reapSessions(deps: WorkerDeps): Promise<void> {
  await settleOverdue(deps);
  await driveForgotten(deps);
}

async function settleOverdue(deps: WorkerDeps): Promise<void> {
  const now = deps.clock.now();
  const overdue = await deps.systemDb.session.findMany({
    where: { state: { in: [...PASSING_STATES] }, deadlineAt: { lt: now } },
    select: { id: true, orgId: true },
  });
  for (const { id, orgId } of overdue) {
    const ref = { orgId, sessionId: id };
    await withOrg(deps.db, orgId, async (tx) => {
      const session = await tx.session.findUniqueOrThrow({ where: { id } });
      const decision = decideOverdue(session, now);
      if (decision.kind === 'none') return;
      const detail = `It was ${session.state} for longer than it may (${Math.round((now.getTime() - session.stateSince.getTime()) / 60_000)} minutes).`;
      const moved = await transition(tx, ref, {
        expected: session,
        to: decision.to,
        reason: `took too long ${WORDS[session.state] ?? session.state}`,
        actor: { kind: 'worker' },
        drive: true,
        now,
        set: { stateReason: detail, ...(session.state === 'resuming' ? { machineId: null } : {}) },
      });
      if (!moved.ok) return;
      await tx.wake.updateMany({ where: { sessionId: id, outcome: 'pending' }, data: { outcome: 'failed', detail } });
      const nextStep = decision.to === 'suspended' ? 'Wake it to try again.' : 'Retry the session.';
      await appendEvent(tx, ref, { kind: 'error', title: 'The session got stuck', detail, nextStep });
    });
  }
}

const WORDS: Partial<Record<SessionState, string>> = {
  provisioning: 'to get its machine',
  suspending: 'to fall asleep',
  resuming: 'to wake',
  stopping: 'to stop',
};

/** A driver may have used up its retries, or its job may have been lost with a database restored from a backup. */
async function driveForgotten(deps: WorkerDeps): Promise<void> {
  const driven = await deps.systemDb.$queryRaw<{ singleton_key: string }[]>`
    select singleton_key from pgboss.job where name = 'drive-session' and state in ('created', 'retry', 'active')`;
  const keys = new Set(driven.map(({ singleton_key }) => singleton_key));
  const candidates = await deps.systemDb.session.findMany({
    where: {
      OR: [
        { state: { in: ['provisioning', 'running', 'suspending', 'resuming', 'stopping'] } },
        { state: 'failed', machineId: { not: null } },
      ],
    },
    select: { id: true, orgId: true, state: true, machineId: true, stateSince: true },
  });
  const now = deps.clock.now();
  for (const { id, orgId, ...session } of candidates) {
    if (keys.has(id)) continue;
    // Its driver puts the machine away: one at a time with whoever retries the session.
    if (session.state === 'failed' && decideFailedMachine(session, now) === 'leave') continue;
    if (session.state !== 'failed') deps.log.warn({ event: 'session.forgotten', sessionId: id }, 'session had no driver');
    await withOrg(deps.db, orgId, (tx) => enqueue(tx, 'drive-session', { orgId, sessionId: id }));
  }
}
