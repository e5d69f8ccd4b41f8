import type { Session } from '../../prisma/generated/client.ts';
import { parseOrgPolicy } from '../../server/policy/policy.ts';
import { decideIdle, type IdleDecision } from '../../server/sessions/decisions.ts';
import { whyGone } from '../machines/open-machine.ts';
import { compareLooks, describeStay } from './background-work.ts';
import { addEvent, type Driver, guestOf, inOrg, move, pause } from './driver.ts';
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
  const look = { machineId, atMs: performance.now(), cpuMs: activity.cpuMs, egressBytes: activity.egressBytes };
  const background = compareLooks(driver.lastLook, look);
  driver.lastLook = look;
  const activeAt = new Date(Math.max(session.activeAt.getTime(), session.stateSince.getTime()));
  const org = await inOrg(driver, (tx) => tx.organization.findUniqueOrThrow({ where: { id: session.orgId } }));
  const decision = decideIdle(
    {
      queuedMessages: 0,
      turnActive: false,
      activeAt,
      terminalsLastInputAt: activity.terminals.map(({ lastInputAt }) => new Date(lastInputAt)),
      execs: activity.execs,
      background,
    },
    parseOrgPolicy(org.policy),
    clock.now(),
  );
  if (decision.kind === 'stay') {
    await tellWhyAwake(driver, describeStay(decision, background), activeAt);
    return pause(driver, Math.min(decision.checkAgainInMs, LOOK_MS_MAX));
  }
  if (decision.kind === 'suspend') await fallAsleep(driver, session, SLEEP_REASONS[decision.reason]);
}

const SLEEP_REASONS: Record<Extract<IdleDecision, { kind: 'suspend' }>['reason'], string> = {
  idle: 'nothing left to do',
  background_work_too_long:
    'what still ran had nobody waiting for it for as long as the policy allows; it goes on at the next wake',
};

async function tellWhyAwake(driver: Driver, why: string | null, activeAt: Date): Promise<void> {
  if (why === null || driver.stayToldFor === activeAt.getTime()) return;
  driver.stayToldFor = activeAt.getTime();
  await addEvent(driver, { kind: 'progress', label: 'Stays awake', ms: null, detail: why });
}

/** Decided on what was read before; looked at once more under the row lock, so that no message is slept through. */
async function fallAsleep(driver: Driver, session: Session, reason: string): Promise<void> {
  const queued = Symbol('queued');
  await move(driver, session, { to: 'suspending', reason }, async (tx) => {
    if ((await tx.message.count({ where: { sessionId: session.id, state: 'queued' } })) > 0) throw queued;
    // Whatever it was woken for has come and gone; from here on a pending row means that somebody wants it awake.
    await markFailed(tx, driver.ref, 'what it was woken for was never delivered');
  }).catch((error: unknown) => {
    if (error !== queued) throw error;
  });
}
