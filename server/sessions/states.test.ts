import { describe, expect, it } from 'vitest';
import { SessionState as PrismaSessionState } from '../../prisma/generated/enums.ts';
import { acceptsInput, canTransition, isEnded, PASSING_STATES, SESSION_RULES, SESSION_STATES } from './states.ts';

describe('session states', () => {
  it('are the database’s', () => {
    expect(Object.values(PrismaSessionState).toSorted()).toEqual([...SESSION_STATES].toSorted());
  });

  it.each(PASSING_STATES)('%s, a passing state, leads somewhere the rules allow when it fails', (state) => {
    const { onFailure } = SESSION_RULES[state];
    expect(onFailure).not.toBeNull();
    expect(canTransition(state, onFailure!)).toBe(true);
  });

  it.each(SESSION_STATES.filter((state) => !PASSING_STATES.includes(state)))('%s, a resting state, has no deadline', (state) => {
    expect(SESSION_RULES[state]).toMatchObject({ deadlineMs: null, onFailure: null });
  });

  it.each(SESSION_STATES.filter((state) => !isEnded(state)))('%s can come to an end', (state) => {
    const reached = new Set([state]);
    for (const from of reached) for (const to of SESSION_RULES[from].next) reached.add(to);
    expect(reached).toContain('stopped');
  });

  it('an ended session goes nowhere and takes no input', () => {
    expect(SESSION_RULES.stopped.next).toEqual([]);
    expect(acceptsInput('stopped')).toBe(false);
  });
});
