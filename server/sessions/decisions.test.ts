import { describe, expect, it } from 'vitest';
import {
  BUSY_CPU_SHARE,
  BUSY_EGRESS_BYTES_PER_SECOND,
  decideFailure,
  decideIdle,
  decideOverdue,
  decideWake,
  decideWakeAgain,
  type IdleFacts,
  RESTART_GRACE_MS,
  TERMINAL_IDLE_MS,
} from './decisions.ts';
import { PASSING_STATES, SESSION_RULES, SESSION_STATES, type SessionState } from './states.ts';

const NOW = new Date('2026-01-02T03:04:05Z');
const ago = (ms: number) => new Date(NOW.getTime() - ms);

describe('decideWake', () => {
  const EXPECTED: Record<SessionState, { event: string; person: string }> = {
    created: { event: 'drive', person: 'drive' },
    provisioning: { event: 'drive', person: 'drive' },
    running: { event: 'drive', person: 'drive' },
    suspending: { event: 'drive', person: 'drive' },
    suspended: { event: 'move', person: 'move' },
    resuming: { event: 'drive', person: 'drive' },
    stopping: { event: 'refuse', person: 'refuse' },
    stopped: { event: 'refuse', person: 'refuse' },
    failed: { event: 'wait', person: 'move' },
  };
  const grid = SESSION_STATES.flatMap((state) =>
    (['check_failed', 'review_comment', 'message', 'click'] as const).map((cause) => ({ state, cause })),
  );

  it.each(grid)('$cause while $state', ({ state, cause }) => {
    const expected = EXPECTED[state][cause === 'message' || cause === 'click' ? 'person' : 'event'];
    expect(decideWake({ state, cause, hasSnapshot: true }).kind).toBe(expected);
  });

  it('a failed session without a snapshot starts over', () => {
    expect(decideWake({ state: 'failed', cause: 'click', hasSnapshot: false })).toEqual({ kind: 'move', to: 'provisioning' });
    expect(decideWake({ state: 'failed', cause: 'click', hasSnapshot: true })).toEqual({ kind: 'move', to: 'resuming' });
  });
});

describe('decideIdle', () => {
  const policy = { idleSuspendMs: 5000, backgroundWorkMaxMs: 60_000 };
  const idle: IdleFacts = {
    queuedMessages: 0,
    turnActive: false,
    activeAt: ago(5000),
    terminalsLastInputAt: [],
    execs: 0,
    background: { cpuShare: 0.05, egressBytesPerSecond: 100 },
  };
  const decide = (set: Partial<IdleFacts>) => decideIdle({ ...idle, ...set }, policy, NOW);

  it('suspends when nothing has happened for as long as the policy says', () => {
    expect(decide({})).toEqual({ kind: 'suspend', reason: 'idle' });
    expect(decide({ activeAt: ago(4999) })).toEqual({ kind: 'stay', reason: 'recent_activity', checkAgainInMs: 1 });
  });

  it('delivers what is queued, but not into a turn', () => {
    expect(decide({ queuedMessages: 1 }).kind).toBe('deliver');
    expect(decide({ queuedMessages: 1, turnActive: true })).toMatchObject({ kind: 'stay', reason: 'turn_active' });
  });

  it('stays while somebody types or a command runs', () => {
    expect(decide({ terminalsLastInputAt: [ago(3_600_000), ago(TERMINAL_IDLE_MS - 1)] })).toMatchObject({
      reason: 'terminal',
    });
    expect(decide({ terminalsLastInputAt: [ago(TERMINAL_IDLE_MS)] })).toMatchObject({ kind: 'suspend' });
    expect(decide({ execs: 1 })).toMatchObject({ reason: 'exec' });
  });

  const busy = [
    { reason: 'cpu', background: { cpuShare: BUSY_CPU_SHARE, egressBytesPerSecond: 0 } },
    { reason: 'download', background: { cpuShare: 0, egressBytesPerSecond: BUSY_EGRESS_BYTES_PER_SECOND } },
  ];
  it.each(busy)('stays while what was left behind goes on by itself: $reason', ({ reason, background }) => {
    expect(decide({ background })).toMatchObject({ kind: 'stay', reason });
    expect(decide({ background, activeAt: ago(59_999) })).toEqual({ kind: 'stay', reason, checkAgainInMs: 1 });
    expect(decide({ background, activeAt: ago(60_000) })).toEqual({ kind: 'suspend', reason: 'background_work_too_long' });
  });

  it('looks twice before it believes in silence', () => {
    expect(decide({ background: null })).toMatchObject({ kind: 'stay', reason: 'first_look' });
  });
});

describe('decideWakeAgain', () => {
  it.each([
    [0, 0],
    [1, 1],
    [2, 2],
    [6, 32],
    [7, 60],
    [100, 60],
  ])('after %i failures tries again %i min after the last', (failures, minutes) => {
    const since = (ms: number) => decideWakeAgain({ failures, stateSince: new Date(NOW.getTime() - ms) }, NOW);
    expect(since(minutes * 60_000)).toBe(true);
    if (minutes > 0) expect(since(minutes * 60_000 - 1)).toBe(false);
  });
});

describe('decideFailure', () => {
  it.each(PASSING_STATES)('%s settles where the rules say once retries are used up', (state) => {
    const kinds = [1, 2, 3, 4].map((attempt) => decideFailure({ state, retryable: true, lasting: false, attempt }));
    expect(kinds.slice(0, 3).every((decision) => decision.kind === 'retry')).toBe(true);
    expect(kinds[3]).toEqual({ kind: 'settle', to: SESSION_RULES[state].onFailure });
  });

  it('does not retry what cannot succeed', () => {
    const refused = { retryable: false, lasting: false, attempt: 1 };
    expect(decideFailure({ state: 'resuming', ...refused })).toEqual({ kind: 'settle', to: 'suspended' });
    expect(decideFailure({ state: 'running', ...refused })).toEqual({ kind: 'settle', to: 'failed' });
    expect(decideFailure({ state: 'resuming', ...refused, lasting: true })).toEqual({ kind: 'settle', to: 'failed' });
  });
});

describe('decideOverdue', () => {
  const drivenSince = ago(RESTART_GRACE_MS);

  it.each(PASSING_STATES)('%s is settled at its deadline, not before', (state) => {
    expect(decideOverdue({ state, deadlineAt: new Date(NOW.getTime() + 1), drivenSince }, NOW)).toEqual({ kind: 'none' });
    expect(decideOverdue({ state, deadlineAt: ago(20), drivenSince }, NOW)).toEqual({
      kind: 'settle',
      to: SESSION_RULES[state].onFailure,
      overdueMs: 20,
    });
  });

  it('leaves resting states alone', () => {
    expect(decideOverdue({ state: 'running', deadlineAt: null, drivenSince }, NOW)).toEqual({ kind: 'none' });
  });

  it('counts no time in which no worker ran', () => {
    const facts = { state: 'suspending' as const, deadlineAt: ago(3_600_000), drivenSince: ago(RESTART_GRACE_MS - 1) };
    expect(decideOverdue(facts, NOW)).toEqual({ kind: 'none' });
  });
});
