import { describe, expect, it } from 'vitest';
import { SESSION_STATES } from './states.ts';
import { computeStatus, SESSION_STATUSES, STATUS_LABELS } from './status.ts';

describe('computeStatus', () => {
  it('says what a running session does', () => {
    expect(computeStatus({ state: 'running', hasWork: true })).toBe('working');
    expect(computeStatus({ state: 'running', hasWork: false })).toBe('ready');
  });

  it('does not call a session working that has no machine', () => {
    expect(computeStatus({ state: 'suspended', hasWork: true })).toBe('asleep');
  });

  it('uses every status, and has a word for each', () => {
    const used = SESSION_STATES.flatMap((state) => [true, false].map((hasWork) => computeStatus({ state, hasWork })));
    expect(new Set(used)).toEqual(new Set(SESSION_STATUSES));
    expect(Object.keys(STATUS_LABELS)).toEqual([...SESSION_STATUSES]);
  });
});
