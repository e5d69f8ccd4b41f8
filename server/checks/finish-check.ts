import type { Change, Check } from '../../prisma/generated/client.ts';
import { type Db, type Tx, withOrg } from '../db.ts';
import { recordRepoEvent } from '../forge/record-repo-event.ts';
import { appendEvent } from '../sessions/append-event.ts';
import { queueMessage } from '../sessions/queue-message.ts';
import { failureMessage } from './failure-message.ts';
import { publishCheck } from './publish-check.ts';

export type CheckOutcome =
  /** The command ran to its end; a null exit code is one that was killed or took too long. */
  | { kind: 'ran'; exitCode: number | null; log: string }
  /** It could not be run: the machine's or the set-up's fault. `reason` is for people. */
  | { kind: 'errored'; reason: string; log: string };

export type FinishCheckInput = {
  orgId: string;
  checkId: string;
  outcome: CheckOutcome;
  now: Date;
  /** The machine of the run that ended so: when another run has begun since, it has nothing to say. Absent: whatever runs. */
  machineId?: string | null;
};

export const CHECK_LOG_CHARS_MAX = 64 * 1024;

/**
 * Stores how a check ended and, once the last check of its commit is in and one has failed, wakes the session with one
 * message about all that failed: one transaction. A check that has its result already stays as it is.
 *
 * @returns false when there was nothing to finish
 */
export async function finishCheck(db: Db, { orgId, checkId, outcome, now, machineId }: FinishCheckInput): Promise<boolean> {
  return withOrg(db, orgId, async (tx) => {
    const known = await tx.check.findUnique({ where: { id: checkId } });
    if (!known) return false;
    // Two checks of one commit that end together settle one after the other; else neither would see that both are in.
    await tx.$queryRaw`select 1 from "Change" where id = ${known.changeId} for no key update`;
    const state = outcome.kind === 'errored' ? 'errored' : outcome.exitCode === 0 ? 'passed' : 'failed';
    const { count } = await tx.check.updateMany({
      where: { id: checkId, state: { in: ['queued', 'running'] }, machineId },
      data: { state, exitCode: outcome.kind === 'ran' ? outcome.exitCode : null, log: storableLog(outcome.log), finishedAt: now },
    });
    if (count === 0) return false;
    const check = await tx.check.findUniqueOrThrow({ where: { id: checkId } });
    const change = await publishCheck(tx, check);
    if (!change) return true;
    const repoEventId = state === 'errored' ? null : await recordResult(tx, change, check, now);
    if (!change.sessionId) return true;
    const ref = { orgId, sessionId: change.sessionId };
    await appendEvent(tx, ref, { kind: 'check', checkId, name: check.name, state });
    if (outcome.kind === 'errored') {
      const nextStep = 'This says nothing about the change. Run the check again from the change’s page.';
      await appendEvent(tx, ref, {
        kind: 'error',
        title: `The check “${check.name}” could not be run`,
        detail: outcome.reason,
        nextStep,
      });
    }
    await tellAgent(tx, { change, sessionId: change.sessionId, commitSha: check.commitSha, repoEventId });
    return true;
  });
}

function recordResult(tx: Tx, change: Change, check: Check, now: Date): Promise<string> {
  return recordRepoEvent(tx, change, {
    kind: check.state === 'passed' ? 'check_passed' : 'check_failed',
    commitSha: check.commitSha,
    // A check that is run again is another delivery.
    deliveryId: `check:${check.id}:${now.toISOString()}`,
    payload: { name: check.name, exitCode: check.exitCode },
  });
}

type Settled = { change: Change; sessionId: string; commitSha: string; repoEventId: string | null };

async function tellAgent(tx: Tx, { change, sessionId, commitSha, repoEventId }: Settled): Promise<void> {
  // A newer commit has checks of its own, and what failed in an older one may be mended.
  if (change.state !== 'open' || change.headSha !== commitSha) return;
  const checks = await tx.check.findMany({
    where: { changeId: change.id, commitSha },
    orderBy: { createdAt: 'asc' },
  });
  if (checks.some(({ state }) => state === 'queued' || state === 'running')) return;
  const failed = checks.filter(({ state }) => state === 'failed');
  const [first] = failed;
  if (!first) return;
  const told = await tx.message.findFirst({
    where: { sessionId, kind: 'check_failed', sourceId: { in: checks.map(({ id }) => id) } },
  });
  // Run again by hand and failed again: the agent knows.
  if (told) return;
  const event =
    repoEventId ?? (await tx.repoEvent.findFirst({ where: { changeId: change.id, commitSha, kind: 'check_failed' } }))?.id;
  await queueMessage(
    tx,
    { orgId: change.orgId, sessionId },
    {
      kind: 'check_failed',
      text: failureMessage(commitSha, failed),
      actor: event ? { kind: 'event', repoEventId: event } : { kind: 'worker' },
      author: null,
      sourceId: first.id,
      repoEventId: event,
    },
  );
}

/** What PostgreSQL's text can hold, and no more than the end of it. */
function storableLog(log: string): string {
  return log.slice(-CHECK_LOG_CHARS_MAX).toWellFormed().replaceAll('\0', '\uFFFD');
}
