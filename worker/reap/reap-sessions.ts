import { withOrg } from '../../server/db.ts';
import { enqueue } from '../../server/jobs/enqueue.ts';
import { appendEvent } from '../../server/sessions/append-event.ts';
import { decideOverdue } from '../../server/sessions/decisions.ts';
import { PASSING_STATES, SESSION_RULES, type SessionState } from '../../server/sessions/states.ts';
import { transition } from '../../server/sessions/transition.ts';
import type { WorkerDeps } from '../deps.ts';
import { silenceOf } from './silent-host.ts';
import { wakeAgain } from './wake-again.ts';

/** Settles sessions past their deadline, gives every session that should be driven a driver, and tries failed wakes again. */
export async function reapSessions(deps: WorkerDeps): Promise<void> {
  await holdWaiting(deps);
  await settleOverdue(deps);
  await driveForgotten(deps);
  await wakeAgain(deps);
}

/**
 * A job that nobody has claimed yet, because every worker has as many sessions as it takes: that says nothing about its session, so
 * the time of the state it is in does not run meanwhile. One whose driver died waits a moment before it is due again, and is not meant.
 */
async function holdWaiting(deps: WorkerDeps): Promise<void> {
  const waiting = await deps.systemDb.$queryRaw<{ id: string }[]>`
    select singleton_key as id from pgboss.job where name = 'drive-session' and state in ('created', 'retry', 'active')
    group by singleton_key having bool_or(state <> 'active' and start_after <= now()) and not bool_or(state = 'active')`;
  const held = await deps.systemDb.session.findMany({
    where: { id: { in: waiting.map(({ id }) => id) }, state: { in: [...PASSING_STATES] } },
    select: { id: true, orgId: true, state: true, version: true },
  });
  for (const { id, orgId, state, version } of held) {
    const deadlineAt = new Date(deps.clock.now().getTime() + SESSION_RULES[state].deadlineMs!);
    await withOrg(deps.db, orgId, (tx) => tx.session.updateMany({ where: { id, version }, data: { deadlineAt } }));
  }
}

async function settleOverdue(deps: WorkerDeps): Promise<void> {
  const now = deps.clock.now();
  const overdue = await deps.systemDb.session.findMany({
    where: { state: { in: [...PASSING_STATES] }, deadlineAt: { lt: now } },
    select: { id: true, orgId: true, hostId: true },
  });
  for (const { id, orgId, hostId } of overdue) {
    const ref = { orgId, sessionId: id };
    const silence = await describeSilence(deps, hostId, now);
    await withOrg(deps.db, orgId, async (tx) => {
      const session = await tx.session.findUniqueOrThrow({ where: { id } });
      const decision = decideOverdue({ ...session, drivenSince: deps.startedAt }, now);
      if (decision.kind === 'none') return;
      const minutes = Math.round((now.getTime() - session.stateSince.getTime()) / 60_000);
      const detail = `It was ${session.state} for longer than it may (${minutes} min).${silence}`;
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
      const nextStep = `${silence && 'The operator has to see why the host does not answer (is hostd running?). '}${NEXT_STEPS[session.state] ?? 'Retry the session.'}`;
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

const NEXT_STEPS: Partial<Record<SessionState, string>> = {
  suspending: 'Retry: it goes on in its machine, or from where that fell asleep.',
  resuming: 'It is tried again by itself while a message waits for it; a click wakes it at once.',
  stopping: 'End the session again.',
};

/** A host that was not heard from is what a session on it waits for. Empty when it answered. */
async function describeSilence(deps: WorkerDeps, hostId: string | null, now: Date): Promise<string> {
  const silentMs = await silenceOf(deps, hostId, now);
  return silentMs === 0 ? '' : ` Its host has not answered for ${Math.max(1, Math.round(silentMs / 60_000))} min.`;
}

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
    select: { id: true, orgId: true, state: true },
  });
  for (const { id, orgId, state } of candidates) {
    if (keys.has(id)) continue;
    // A failed one's driver looks after its machine: one at a time with whoever retries the session.
    if (state !== 'failed') deps.log.warn({ event: 'session.forgotten', sessionId: id }, 'session had no driver');
    await withOrg(deps.db, orgId, (tx) => enqueue(tx, 'drive-session', { orgId, sessionId: id }));
  }
}
