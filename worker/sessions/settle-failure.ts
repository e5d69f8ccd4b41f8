import type { Machine, Session } from '../../prisma/generated/client.ts';
import { appendEvent } from '../../server/sessions/append-event.ts';
import type { SessionState } from '../../server/sessions/states.ts';
import { removeMachine } from '../machines/open-machine.ts';
import { describeFailure, type ErrorEvent } from './describe-failure.ts';
import { type Driver, inOrg, move } from './driver.ts';
import { MEMORY_UNUSABLE, MemoryUnusableError } from './resume.ts';
import { markFailed } from './settle-wakes.ts';

const TITLES: Partial<Record<SessionState, string>> = {
  provisioning: 'The machine could not be prepared',
  running: 'The session could not go on',
  suspending: 'The machine could not be put to sleep',
  resuming: 'The machine could not be woken',
  stopping: 'The machine could not be removed',
};

/**
 * A step failed for good: the session goes where its state's rule says, the person looking is told why and what to do,
 * and what was half made is removed. A machine that holds work nobody else has (one that could not be put to sleep) stays.
 */
export async function settleFailure(driver: Driver, session: Session, to: SessionState, error: unknown): Promise<void> {
  const event = describeEnd(session.state, to, error);
  const halfMade = session.state === 'provisioning' || session.state === 'resuming' ? await findMachine(driver, session) : null;
  const moved = await move(
    driver,
    session,
    {
      to,
      reason: error instanceof MemoryUnusableError ? MEMORY_UNUSABLE : event.title,
      set: { stateReason: `${event.title}: ${event.detail.slice(0, 500)}`, ...(halfMade ? { machineId: null } : {}) },
    },
    async (tx) => {
      await appendEvent(tx, driver.ref, event);
      await markFailed(tx, driver.ref, event.detail.slice(0, 500));
    },
  );
  if (!moved || !halfMade) return;
  await removeMachine(driver.deps, halfMade).catch((cause: unknown) => {
    driver.log.warn({ event: 'machine.not_removed', machineId: halfMade.id, err: cause }, 'left to the reaper');
  });
}

function describeEnd(from: SessionState, to: SessionState, error: unknown): ErrorEvent {
  const event = describeFailure(TITLES[from] ?? 'The session failed', error);
  // A retry would start it again.
  if (from === 'stopping') return { ...event, nextStep: 'End the session again when the cause is mended.' };
  if (to !== 'suspended') return event;
  return { ...event, nextStep: `While a message waits for it, it is tried again by itself. ${event.nextStep ?? ''}`.trim() };
}

async function findMachine(driver: Driver, session: Session): Promise<Machine | null> {
  if (!session.machineId) return null;
  return inOrg(driver, (tx) => tx.machine.findUnique({ where: { id: session.machineId! } }));
}
