import { withOrg } from '../../server/db.ts';
import { enqueue } from '../../server/jobs/enqueue.ts';
import { appendEvent } from '../../server/sessions/append-event.ts';
import { decideOverdue } from '../../server/sessions/decisions.ts';
import { PASSING_STATES, type SessionState } from '../../server/sessions/states.ts';
import { transition } from '../../server/sessions/transition.ts';
import type { WorkerDeps } from '../deps.ts';

/** More than a sweep's other parts take, less than there is between two sweeps. */
const SILENT_MS = 30_000;

/** Settles sessions past their deadline, and gives every session that should be driven a driver. */
export async function reapSessions(deps: WorkerDeps): Promise<void> {
  await settleOverdue(deps);
  await driveForgotten(deps);
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
  resuming: 'Wake it to try again.',
  stopping: 'End the session again.',
};

/** The sweep has just asked every host: one it did not hear from is what a session on it waits for. Empty when it answered. */
async function describeSilence(deps: WorkerDeps, hostId: string | null, now: Date): Promise<string> {
  const host = hostId === null ? null : await deps.systemDb.host.findUnique({ where: { id: hostId } });
  const silentMs = host ? now.getTime() - host.lastSeenAt.getTime() : 0;
  return silentMs < SILENT_MS ? '' : ` Its host has not answered for ${Math.max(1, Math.round(silentMs / 60_000))} min.`;
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
