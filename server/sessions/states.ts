/*
 * The session's state machine, on one screen. transition.ts is the only writer of `session.state`;
 * prisma's enum must equal SESSION_STATES (asserted in states.test.ts).
 *
 *   created ─► provisioning ─► running ─► suspending ─► suspended ─► resuming ─► running …
 *   any but the ended ones ─► stopping ─► stopped          any passing state ─► failed ─► provisioning | resuming | stopping
 */
export const SESSION_STATES = [
  'created',
  'provisioning',
  'running',
  'suspending',
  'suspended',
  'resuming',
  'stopping',
  'stopped',
  'failed',
] as const;

export type SessionState = (typeof SESSION_STATES)[number];

type Rule = {
  next: readonly SessionState[];
  /** How long a passing state may last before the reaper settles it; null for resting states. */
  deadlineMs: number | null;
  /** Where the reaper and failed effects lead. */
  onFailure: SessionState | null;
};

const MINUTE_MS = 60_000;

export const SESSION_RULES = {
  created: { next: ['provisioning', 'stopping', 'failed'], deadlineMs: null, onFailure: null },
  // Long: it may wait for the repository's template to be built under emulation. On to `resuming` when its machine turns out to sleep.
  provisioning: { next: ['running', 'resuming', 'failed', 'stopping'], deadlineMs: 30 * MINUTE_MS, onFailure: 'failed' },
  running: { next: ['suspending', 'stopping', 'failed', 'suspended'], deadlineMs: null, onFailure: null },
  suspending: { next: ['suspended', 'running', 'failed', 'stopping'], deadlineMs: 3 * MINUTE_MS, onFailure: 'failed' },
  suspended: { next: ['resuming', 'stopping', 'failed'], deadlineMs: null, onFailure: null },
  // A resume that does not come about leaves the snapshot as it was: back to sleep, try again.
  resuming: { next: ['running', 'suspended', 'failed', 'stopping'], deadlineMs: 5 * MINUTE_MS, onFailure: 'suspended' },
  stopping: { next: ['stopped', 'failed'], deadlineMs: 5 * MINUTE_MS, onFailure: 'failed' },
  stopped: { next: [], deadlineMs: null, onFailure: null },
  failed: { next: ['provisioning', 'resuming', 'stopping'], deadlineMs: null, onFailure: null },
} as const satisfies Record<SessionState, Rule>;

export const PASSING_STATES = SESSION_STATES.filter((state) => SESSION_RULES[state].deadlineMs !== null);

/** No machine will ever run for it again. */
export function isEnded(state: SessionState): boolean {
  return state === 'stopped';
}

/** A message may be queued; the session wakes for it if it must. */
export function acceptsInput(state: SessionState): boolean {
  return state !== 'stopping' && state !== 'stopped';
}

export function canTransition(from: SessionState, to: SessionState): boolean {
  return (SESSION_RULES[from].next as readonly SessionState[]).includes(to);
}
