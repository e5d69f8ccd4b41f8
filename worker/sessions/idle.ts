import type { Session } from '../../prisma/generated/client.ts';
import { parseOrgPolicy } from '../../server/policy/policy.ts';
import { decideIdle } from '../../server/sessions/decisions.ts';
import { whyGone } from '../machines/open-machine.ts';
import { type Driver, guestOf, inOrg, move, pause } from './driver.ts';
import { loseMachine } from './lose-machine.ts';
import { markFailed } from './settle-wakes.ts';

/** A machine that is lost while nobody does anything is noticed within this time. */
const LOOK_MS_MAX = 30_000;

/** Nothing is queued: wait for something, or fall asleep. */
export async function idle(driver: Driver, session: Session): Promise<void> {
  const { clock } = driver.deps;
  const { host, machineId } = await guestOf(driver, session);
  const gone = await whyGone(host, machineId);
  if (gone) return loseMachine(driver, session, gone);
  const activity = await host.activity(machineId);
  const org = await inOrg(driver, (tx) => tx.organization.findUniqueOrThrow({ where: { id: session.orgId } }));
  const decision = decideIdle(
    {
      queuedMessages: 0,
      turnActive: false,
      activeAt: new Date(Math.max(session.activeAt.getTime(), session.stateSince.getTime())),
      terminalsLastInputAt: activity.terminals.map(({ lastInputAt }) => new Date(lastInputAt)),
      execs: activity.execs,
    },
    parseOrgPolicy(org.policy),
    clock.now(),
  );
  if (decision.kind === 'stay') return pause(driver, Math.min(decision.checkAgainInMs, LOOK_MS_MAX));
  if (decision.kind === 'suspend') await fallAsleep(driver, session);
}

/** Decided on what was read before; looked at once more under the row lock, so that no message is slept through. */
async function fallAsleep(driver: Driver, session: Session): Promise<void> {
  const queued = Symbol('queued');
  await move(driver, session, { to: 'suspending', reason: 'nothing left to do' }, async (tx) => {
    if ((await tx.message.count({ where: { sessionId: session.id, state: 'queued' } })) > 0) throw queued;
    // Whatever it was woken for has come and gone; from here on a pending row means that somebody wants it awake.
    await markFailed(tx, driver.ref, 'what it was woken for was never delivered');
  }).catch((error: unknown) => {
    if (error !== queued) throw error;
  });
}
