import type { Tx } from '../../server/db.ts';
import { transition } from '../../server/sessions/transition.ts';
import type { Driver } from './driver.ts';

/**
 * In the transaction that laid the session to rest: what asked for it meanwhile found it awake and did not wake it, so it
 * is woken here. From the commit on `wakeSession` does that.
 */
export async function wakeAtOnce(driver: Driver, tx: Tx, reason: string): Promise<void> {
  const asleep = await tx.session.findUniqueOrThrow({ where: { id: driver.ref.sessionId } });
  await transition(tx, driver.ref, {
    expected: asleep,
    to: 'resuming',
    reason,
    actor: { kind: 'worker' },
    drive: false,
    now: driver.deps.clock.now(),
  });
}
