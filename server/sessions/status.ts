import type { SessionState } from './states.ts';

/*
 * What a session's state is called in front of people. Computed, never stored; free of imports with effects, because the
 * pages use it too.
 */
export const SESSION_STATUSES = [
  'starting',
  'working',
  'ready',
  'falling_asleep',
  'asleep',
  'waking',
  'ending',
  'ended',
  'failed',
] as const;
export type SessionStatus = (typeof SESSION_STATUSES)[number];

export type StatusFacts = {
  state: SessionState;
  /** A prompt was delivered and its turn has not ended, or one waits to be delivered. */
  hasWork: boolean;
};

export function computeStatus({ state, hasWork }: StatusFacts): SessionStatus {
  return state === 'running' ? (hasWork ? 'working' : 'ready') : STATUS_BY_STATE[state];
}

const STATUS_BY_STATE = {
  created: 'starting',
  provisioning: 'starting',
  suspending: 'falling_asleep',
  suspended: 'asleep',
  resuming: 'waking',
  stopping: 'ending',
  stopped: 'ended',
  failed: 'failed',
} as const satisfies Record<Exclude<SessionState, 'running'>, SessionStatus>;

export const STATUS_LABELS: Record<SessionStatus, string> = {
  starting: 'Starting',
  working: 'Working',
  ready: 'Ready',
  falling_asleep: 'Falling asleep',
  asleep: 'Asleep',
  waking: 'Waking',
  ending: 'Ending',
  ended: 'Ended',
  failed: 'Failed',
};
