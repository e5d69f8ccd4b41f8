import { setMaxListeners } from 'node:events';
import type { Session } from '../../prisma/generated/client.ts';
import { databaseTrouble } from '../../server/database-trouble.ts';
import { withOrg } from '../../server/db.ts';
import { type HostError, isHostError } from '../../server/hosts/host-error.ts';
import { enqueue } from '../../server/jobs/enqueue.ts';
import type { SessionRef } from '../../server/sessions/append-event.ts';
import { decideFailure } from '../../server/sessions/decisions.ts';
import type { SessionState } from '../../server/sessions/states.ts';
import type { WorkerDeps } from '../deps.ts';
import { whyGone } from '../machines/open-machine.ts';
import { describeFailure, isLasting, isRetryable } from './describe-failure.ts';
import { addEvent, type Driver, guestOf, MovedError, pause, readSession, ShutdownError, SupersededError } from './driver.ts';
import { loseMachine } from './lose-machine.ts';
import { isOutlasted, newOutage, outlastDatabase } from './outlast-database.ts';
import { provision } from './provision.ts';
import { putAway } from './put-away.ts';
import { resume } from './resume.ts';
import { runTurns } from './run-turns.ts';
import { settleFailure } from './settle-failure.ts';
import { stop } from './stop.ts';
import { suspend } from './suspend.ts';

type Step = (driver: Driver, session: Session) => Promise<void>;

/** What each state needs done; null where a session rests. */
const STEPS: Record<SessionState, Step | null> = {
  created: null,
  provisioning: provision,
  running: runTurns,
  suspending: suspend,
  suspended: null,
  resuming: resume,
  stopping: stop,
  stopped: null,
  failed: null,
};

/** After this long without the host a running session's page says so. */
const HOST_SILENCE_SHOWN_MS = 30_000;

/**
 * The actor of one session: reads its row, does what its state needs, reads again, until it rests. Holds no truth of its
 * own, so it may be killed anywhere and started again, here or elsewhere.
 */
export async function driveSession(deps: WorkerDeps, ref: SessionRef): Promise<void> {
  const driver: Driver = {
    deps,
    ref,
    log: deps.log.child({ orgId: ref.orgId, sessionId: ref.sessionId }),
    signal: deps.signals.subscribe(ref.sessionId),
    agentSeenOn: null,
    stalledOn: null,
    lastLook: null,
    stayToldFor: null,
  };
  setMaxListeners(0, deps.shutdown);
  try {
    await drive(driver);
  } catch (error) {
    if (error instanceof SupersededError)
      driver.log.info({ event: 'session.superseded', reason: error.message }, 'another driver goes on');
    else if (error instanceof ShutdownError) await withOrg(deps.db, ref.orgId, (tx) => enqueue(tx, 'drive-session', ref));
    else throw error;
  } finally {
    driver.signal.close();
  }
}

async function drive(driver: Driver): Promise<void> {
  let failures = { version: -1, attempt: 0, since: 0, shown: false };
  const outage = newOutage();
  for (;;) {
    if (driver.deps.shutdown.aborted) throw new ShutdownError('worker is shutting down');
    const session = await readSession(driver);
    if (session.state === 'failed') {
      // Its host may be away, which is no news about the session: the reaper asks again.
      return putAway(driver, session).catch((err: unknown) =>
        driver.log.warn({ event: 'machine.not_put_away', machineId: session.machineId, err }, 'left to the next sweep'),
      );
    }
    const step = STEPS[session.state];
    if (!step) return;
    try {
      await step(driver, session);
      failures = { version: -1, attempt: 0, since: 0, shown: false };
    } catch (error) {
      if (error instanceof SupersededError || error instanceof ShutdownError) throw error;
      if (error instanceof MovedError) continue;
      // A host's refusal may have a refused connection for its cause, too.
      if (!isHostError(error) && databaseTrouble(error) && !isOutlasted(outage, error)) {
        await outlastDatabase(driver, outage, error);
        continue;
      }
      const now = await readSession(driver);
      if (failures.version !== now.version) failures = { version: now.version, attempt: 0, since: Date.now(), shown: false };
      failures.attempt += 1;
      driver.agentSeenOn = null;
      driver.log.warn({ event: 'session.step_failed', state: now.state, attempt: failures.attempt, err: error }, 'step failed');
      if (await loseGone(driver, now, error)) continue;
      // The machine works on while its host's daemon is away: nothing is given up for that.
      if (now.state === 'running' && isHostError(error) && error.retryable) await outlast(driver, failures, error);
      else await retryOrSettle(driver, now, failures.attempt, error);
    }
  }
}

/** A running session whose host refuses because the machine is gone is told so, instead of being failed for the refusal. */
async function loseGone(driver: Driver, session: Session, error: unknown): Promise<boolean> {
  if (session.state !== 'running' || !session.machineId || !isHostError(error)) return false;
  const { host, machineId } = await guestOf(driver, session);
  const gone = await whyGone(host, machineId).catch(() => null);
  if (gone) await loseMachine(driver, session, gone);
  return gone !== null;
}

async function outlast(driver: Driver, failures: { since: number; shown: boolean }, error: HostError): Promise<void> {
  if (!failures.shown && Date.now() - failures.since > HOST_SILENCE_SHOWN_MS) {
    failures.shown = true;
    await addEvent(driver, describeFailure('The machine’s host does not answer; still trying', error));
  }
  await pause(driver, driver.deps.patience.retryMs);
}

async function retryOrSettle(driver: Driver, session: Session, attempt: number, error: unknown): Promise<void> {
  if (!STEPS[session.state]) return;
  const decision = decideFailure({ state: session.state, retryable: isRetryable(error), lasting: isLasting(error), attempt });
  if (decision.kind === 'retry') return pause(driver, Math.min(decision.delayMs, driver.deps.patience.retryMs * 15));
  await settleFailure(driver, session, decision.to, error);
}
