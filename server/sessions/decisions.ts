import { assertNever } from '../errors.ts';
import { SESSION_RULES, type SessionState } from './states.ts';

/*
 * What to do next about a session, from facts alone: no clock, no database, no await. The callers do the effects.
 */

export type WakeCause = 'check_failed' | 'review_comment' | 'message' | 'click';

export type WakeDecision =
  /** Move to `to` and drive it. */
  | { kind: 'move'; to: 'resuming' | 'provisioning' }
  /** It is awake or on its way; its driver takes what is queued. */
  | { kind: 'drive' }
  /** Keep what is queued; a person has to look first. */
  | { kind: 'wait'; reason: 'failed_needs_person' }
  | { kind: 'refuse'; reason: 'ended' };

/** Something concerns this session: does it have to be woken? */
export function decideWake(facts: { state: SessionState; hasSnapshot: boolean; cause: WakeCause }): WakeDecision {
  switch (facts.state) {
    case 'suspended':
      return { kind: 'move', to: 'resuming' };
    case 'created':
    case 'provisioning':
    case 'running':
    case 'suspending':
    case 'resuming':
      return { kind: 'drive' };
    case 'failed':
      // Repo events alone do not restart what failed: it would fail again, unseen and unasked.
      if (facts.cause === 'check_failed' || facts.cause === 'review_comment') {
        return { kind: 'wait', reason: 'failed_needs_person' };
      }
      return { kind: 'move', to: facts.hasSnapshot ? 'resuming' : 'provisioning' };
    case 'stopping':
    case 'stopped':
      return { kind: 'refuse', reason: 'ended' };
    default:
      return assertNever(facts.state);
  }
}

const WAKE_AGAIN_MS = 60_000;
const WAKE_AGAIN_MS_MAX = 60 * 60_000;

/**
 * A session lies asleep though something waits for it. Try now? At once when nothing was tried, else after a time that doubles with
 * each failure, up to an hour: what the host lacks may come back at any time, and nobody may be looking.
 *
 * @param facts.failures resumes that did not come about since it last ran
 */
export function decideWakeAgain({ failures, stateSince }: { failures: number; stateSince: Date }, now: Date): boolean {
  if (failures === 0) return true;
  return now.getTime() - stateSince.getTime() >= Math.min(WAKE_AGAIN_MS * 2 ** (failures - 1), WAKE_AGAIN_MS_MAX);
}

export type IdleFacts = {
  queuedMessages: number;
  /** A prompt was delivered and its turn has not ended. */
  turnActive: boolean;
  activeAt: Date;
  /** Input times of terminals open in the machine. */
  terminalsLastInputAt: Date[];
  /** Exec calls in flight, such as a file being written by a person. */
  execs: number;
  /** What the machine did between the last two looks; null when there was only one. */
  background: { cpuShare: number; egressBytesPerSecond: number } | null;
};

/**
 * Of one core. Seen from the host, so it holds for whatever the agent left running. A woken guest that only waits uses 0.01 to
 * 0.05 under emulation, a build or a test run nearly 1.
 */
export const BUSY_CPU_SHARE = 0.2;
/** A download moves more; a kept connection's keep-alives move less. */
export const BUSY_EGRESS_BYTES_PER_SECOND = 1024;

/** A terminal that nobody typed into for this long does not keep a machine awake. */
export const TERMINAL_IDLE_MS = 60_000;

export type IdleDecision =
  | { kind: 'deliver' }
  | {
      kind: 'stay';
      reason: 'turn_active' | 'terminal' | 'exec' | 'recent_activity' | 'first_look' | 'cpu' | 'download';
      checkAgainInMs: number;
    }
  | { kind: 'suspend'; reason: 'idle' | 'background_work_too_long' };

const BUSY_CHECK_MS = 2000;
const FIRST_LOOK_MS = 1000;

/**
 * A running session: give the agent its next message, wait, or put the machine to sleep? Silence alone is not idleness: what
 * still computes or downloads keeps the machine awake, for as long as the policy lets work go on that nobody waits for.
 */
export function decideIdle(
  facts: IdleFacts,
  policy: { idleSuspendMs: number; backgroundWorkMaxMs: number },
  now: Date,
): IdleDecision {
  if (facts.turnActive) return { kind: 'stay', reason: 'turn_active', checkAgainInMs: BUSY_CHECK_MS };
  if (facts.queuedMessages > 0) return { kind: 'deliver' };
  if (facts.execs > 0) return { kind: 'stay', reason: 'exec', checkAgainInMs: BUSY_CHECK_MS };
  const terminalLeftMs = facts.terminalsLastInputAt.map((at) => at.getTime() + TERMINAL_IDLE_MS - now.getTime());
  const terminalMs = Math.max(0, ...terminalLeftMs);
  if (terminalMs > 0) return { kind: 'stay', reason: 'terminal', checkAgainInMs: Math.min(terminalMs, BUSY_CHECK_MS) };
  const quietMs = facts.activeAt.getTime() + policy.idleSuspendMs - now.getTime();
  if (quietMs > 0) return { kind: 'stay', reason: 'recent_activity', checkAgainInMs: quietMs };
  if (facts.background === null) return { kind: 'stay', reason: 'first_look', checkAgainInMs: FIRST_LOOK_MS };
  const work = workOf(facts.background);
  if (work === null) return { kind: 'suspend', reason: 'idle' };
  const overMs = now.getTime() - facts.activeAt.getTime() - policy.backgroundWorkMaxMs;
  if (overMs >= 0) return { kind: 'suspend', reason: 'background_work_too_long' };
  return { kind: 'stay', reason: work, checkAgainInMs: Math.min(-overMs, BUSY_CHECK_MS) };
}

function workOf({ cpuShare, egressBytesPerSecond }: NonNullable<IdleFacts['background']>): 'cpu' | 'download' | null {
  if (egressBytesPerSecond >= BUSY_EGRESS_BYTES_PER_SECOND) return 'download';
  return cpuShare >= BUSY_CPU_SHARE ? 'cpu' : null;
}

export type FailureDecision = { kind: 'retry'; delayMs: number } | { kind: 'settle'; to: SessionState };

const RETRY_DELAYS_MS = [1000, 5000, 15_000];

/**
 * A step of a passing state failed. Try it again, or settle where the rules say? What no later try can mend is `failed`, where a
 * person has to look: a session asleep is one that can be woken.
 *
 * @param facts.attempt failures of this step so far, this one included
 */
export function decideFailure(facts: {
  state: SessionState;
  retryable: boolean;
  lasting: boolean;
  attempt: number;
}): FailureDecision {
  const delayMs = RETRY_DELAYS_MS[facts.attempt - 1];
  if (facts.retryable && delayMs !== undefined) return { kind: 'retry', delayMs };
  return { kind: 'settle', to: facts.lasting ? 'failed' : (SESSION_RULES[facts.state].onFailure ?? 'failed') };
}

/** A person who looks at a failure retries within this time, in the machine as it stands. */
export const FAILED_MACHINE_MS = 15 * 60_000;
/** One that cannot be put to sleep for so long gives up its memory for its disk. */
export const FAILED_MEMORY_MS_MAX = 60 * 60_000;
/** One of which nothing can be kept for so long is removed. */
export const FAILED_MACHINE_MS_MAX = 24 * 60 * 60_000;

/** A failed session's machine runs on, for nobody. Each answer includes what comes before it. */
export function decideFailedMachine(
  { state, machineId, stateSince }: { state: SessionState; machineId: string | null; stateSince: Date },
  now: Date,
): 'leave' | 'suspend' | 'drop_memory' | 'give_up' {
  const ageMs = now.getTime() - stateSince.getTime();
  if (state !== 'failed' || machineId === null || ageMs < FAILED_MACHINE_MS) return 'leave';
  if (ageMs < FAILED_MEMORY_MS_MAX) return 'suspend';
  return ageMs < FAILED_MACHINE_MS_MAX ? 'drop_memory' : 'give_up';
}

export type OverdueDecision = { kind: 'none' } | { kind: 'settle'; to: SessionState; overdueMs: number };

/** Nobody drove it while no worker ran: one that starts gives it this long to arrive where it was going. */
export const RESTART_GRACE_MS = 3 * 60_000;

/**
 * Has a passing state lasted longer than it may?
 *
 * @param facts.drivenSince when the worker that asks was started
 */
export function decideOverdue(
  facts: { state: SessionState; deadlineAt: Date | null; drivenSince: Date },
  now: Date,
): OverdueDecision {
  const to = SESSION_RULES[facts.state].onFailure;
  if (facts.deadlineAt === null || to === null || facts.deadlineAt > now) return { kind: 'none' };
  if (now.getTime() - facts.drivenSince.getTime() < RESTART_GRACE_MS) return { kind: 'none' };
  return { kind: 'settle', to, overdueMs: now.getTime() - facts.deadlineAt.getTime() };
}
