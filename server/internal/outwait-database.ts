import { setTimeout as sleep } from 'node:timers/promises';
import { databaseTrouble } from '../database-trouble.ts';

/** Shorter than what agents and hostd's proxy wait for an answer. */
const WAIT_MS_MAX = 4 * 60_000;
const PAUSE_MS = 500;

/**
 * Asks again for as long as the database is away. The programs in a machine give up after seconds, and a PostgreSQL that is
 * started again, or waits for space on its disk, takes longer: to them it is only slow.
 *
 * @param isWanted false once nobody waits for the answer any more
 * @throws what `ask` throws when it is not the database's fault, nobody waits or it was away for too long
 */
export async function outwaitDatabase<T>(
  ask: () => Promise<T>,
  isWanted: () => boolean,
  { waitMsMax = WAIT_MS_MAX, pauseMs = PAUSE_MS } = {},
): Promise<T> {
  for (const deadline = performance.now() + waitMsMax; ; ) {
    try {
      return await ask();
    } catch (error) {
      if (!databaseTrouble(error) || !isWanted() || performance.now() > deadline) throw error;
    }
    await sleep(pauseMs);
  }
}
