import { isTransactionTimeout, troubleOf } from '../../server/database-trouble.ts';
import { tellTrouble } from '../../server/realtime/trouble.ts';
import { writeTimeline } from '../../server/sessions/append-event.ts';
import { SESSION_RULES } from '../../server/sessions/states.ts';
import { type Driver, inOrg, pause } from './driver.ts';

/** Troubles that follow each other this closely are one, told in one row of the timeline. */
const SAME_OUTAGE_MS = 60_000;
const PAUSE_MS_MAX = 15_000;
const PAUSES_DOUBLED_MAX = 10;

/** What a driver remembers of the last time the database was away or full. Times in ms since the epoch. */
export type Outage = { since: number; until: number; seq: number | undefined; timeouts: number };

export const newOutage = (): Outage => ({ since: 0, until: 0, seq: undefined, timeouts: 0 });

/** As many transactions in a row that ended by their time, with a database that took a row after each, are a fault of the step's. */
const TIMEOUTS_MAX = 5;

export function isOutlasted(outage: Outage, error: unknown): boolean {
  return isTransactionTimeout(error) && outage.timeouts >= TIMEOUTS_MAX;
}

/**
 * The database is away or its disk is full. That is no news about the session, so nothing is given up for it: waits until the
 * database takes a row again, for as long as that is, and tells in that row how long it was. Pages hear of each try that failed.
 * Rejects with what else goes wrong. A transaction that never ends in its time looks the same: `isOutlasted` tells them apart.
 */
export async function outlastDatabase(driver: Driver, outage: Outage, error: unknown): Promise<void> {
  const { clock, patience } = driver.deps;
  const now = () => clock.now().getTime();
  if (now() - outage.until > SAME_OUTAGE_MS) Object.assign(outage, { since: now(), seq: undefined, timeouts: 0 });
  outage.timeouts = isTransactionTimeout(error) ? outage.timeouts + 1 : 0;
  driver.log.warn({ event: 'session.database_trouble', err: error }, 'the database is away or full; waiting');
  for (let tries = 0, cause = error; ; tries += 1) {
    const what = troubleOf(cause);
    if (what) void tellTrouble(driver.deps, { ...driver.ref, what });
    await pause(driver, Math.min(PAUSE_MS_MAX, patience.retryMs * 2 ** Math.min(tries, PAUSES_DOUBLED_MAX)));
    try {
      outage.until = now();
      outage.seq = await tell(driver, outage);
      return;
    } catch (again) {
      if (!troubleOf(again)) throw again;
      cause = again;
    }
  }
}

/** A state's time does not run out while nothing could be written. @returns the timeline row's number */
async function tell(driver: Driver, { since, until, seq }: Outage): Promise<number | undefined> {
  const { sessionId } = driver.ref;
  const ms = until - since;
  const detail = 'it was away or its disk was full; nothing stored is lost';
  return inOrg(driver, async (tx) => {
    const event = { kind: 'progress' as const, label: 'Waited for Warren’s database', ms, detail };
    const [row] = await writeTimeline(tx, driver.ref, [{ seq, event }]);
    const { state } = await tx.session.findUniqueOrThrow({ where: { id: sessionId }, select: { state: true } });
    const { deadlineMs } = SESSION_RULES[state];
    if (deadlineMs !== null) {
      await tx.session.update({ where: { id: sessionId }, data: { deadlineAt: new Date(until + deadlineMs) } });
    }
    return row?.seq;
  });
}
