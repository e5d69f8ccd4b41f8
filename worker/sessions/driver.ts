import type { Session } from '../../prisma/generated/client.ts';
import { type Tx, withOrg } from '../../server/db.ts';
import type { HostClient } from '../../server/hosts/host-client.ts';
import type { Logger } from '../../server/logger.ts';
import { appendEvent, type SessionRef } from '../../server/sessions/append-event.ts';
import type { TimelineEvent } from '../../server/sessions/timeline.ts';
import { type TransitionInput, transition } from '../../server/sessions/transition.ts';
import type { WorkerDeps } from '../deps.ts';
import type { Guest } from '../guest/run-script.ts';
import type { Subscription } from '../runtime/session-signals.ts';
import type { Look } from './background-work.ts';

/** One run of the job that drives one session. Everything it knows is in the database; this is how it gets there. */
export type Driver = {
  deps: WorkerDeps;
  ref: SessionRef;
  log: Logger;
  signal: Subscription;
  /** The machine in which this run has seen the right agent process, so that it need not look again before each prompt. */
  agentSeenOn: string | null;
  /** The machine that stood still when it was last looked at, so that its page is told once. */
  stalledOn: string | null;
  /** The last look at what the machine does by itself: work shows in the difference of two. */
  lastLook: Look | null;
  /** The session's last activity when its page was told what keeps it awake: told once for each time it falls silent. */
  stayToldFor: number | null;
};

/** Another driver moved this session on: this one has nothing more to say. */
export class SupersededError extends Error {
  override readonly name = 'SupersededError';
}

/** The session left the state this step was for: read it again and do what the new one needs. */
export class MovedError extends Error {
  override readonly name = 'MovedError';
}

/** The process is ending: stop where we are, another worker carries on from the database. */
export class ShutdownError extends Error {
  override readonly name = 'ShutdownError';
}

/** A step that cannot work as asked, with what a person needs to know. Never retried. */
export class StepError extends Error {
  override readonly name = 'StepError';
  readonly title: string;
  readonly nextStep: string | null;
  constructor(title: string, detail: string, nextStep: string | null = null) {
    super(detail);
    this.title = title;
    this.nextStep = nextStep;
  }
}

export function inOrg<T>({ deps, ref }: Driver, fn: (tx: Tx) => Promise<T>): Promise<T> {
  return withOrg(deps.db, ref.orgId, fn);
}

export function readSession(driver: Driver): Promise<Session> {
  return inOrg(driver, (tx) => tx.session.findUniqueOrThrow({ where: { id: driver.ref.sessionId } }));
}

export async function addEvent(driver: Driver, event: TimelineEvent): Promise<void> {
  await inOrg(driver, (tx) => appendEvent(tx, driver.ref, event));
}

type Move = Omit<TransitionInput, 'expected' | 'actor' | 'drive' | 'now'>;

/**
 * Moves the session on, with `also` in the same transaction. False when somebody else moved it first: then nothing of
 * `also` is kept, and the caller reads again.
 */
export async function move(driver: Driver, session: Session, input: Move, also?: (tx: Tx) => Promise<void>): Promise<boolean> {
  const lost = Symbol('lost');
  try {
    await inOrg(driver, async (tx) => {
      const moved = await transition(tx, driver.ref, {
        ...input,
        expected: session,
        actor: { kind: 'worker' },
        drive: false,
        now: driver.deps.clock.now(),
      });
      if (!moved.ok && moved.reason === 'invalid_transition') throw new Error(`no way from ${moved.from} to ${moved.to}`);
      if (!moved.ok) throw lost;
      await also?.(tx);
    });
    return true;
  } catch (error) {
    if (error === lost) return false;
    throw error;
  }
}

/** The session's live machine as a place to run commands in. */
export async function guestOf({ deps }: Driver, session: Session): Promise<Guest & { host: HostClient }> {
  if (!session.hostId || !session.machineId) throw new Error(`session ${session.id} has no machine`);
  return { host: await deps.hosts.client(session.hostId), machineId: session.machineId };
}

/** Waits, unless something about the session changes first. Rejects with ShutdownError when the process is to end. */
export async function pause({ deps, signal }: Driver, ms: number): Promise<void> {
  await signal.next(ms, deps.shutdown);
  if (deps.shutdown.aborted) throw new ShutdownError('worker is shutting down');
}
