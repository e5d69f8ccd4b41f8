import { describe, expect, it } from 'vitest';
import { decideMergeable, type MergeFacts } from './mergeable.ts';

const check = (name: string, set: Partial<MergeFacts['checks'][number]> = {}): MergeFacts['checks'][number] => ({
  name,
  command: `npm run ${name}`,
  state: 'passed',
  ...set,
});
const verdictOf = (set: Partial<MergeFacts>) =>
  decideMergeable({
    state: 'open',
    conflicts: [],
    base: 'main',
    checks: [check('test'), check('types')],
    required: [check('test'), check('types')],
    headProblem: null,
    requirePassingChecks: true,
    ...set,
  });

describe('where the policy demands passing checks', () => {
  it('what passed every one that the base names may be merged', () => {
    expect(verdictOf({})).toEqual({ ok: true, reason: null });
  });

  it.each<[string, Partial<MergeFacts>, string]>([
    ['a failed one', { checks: [check('test', { state: 'failed' }), check('types')] }, 'test did not pass.'],
    ['one that has not finished', { checks: [check('test', { state: 'running' }), check('types')] }, 'test has not finished.'],
    ['one that the base has not', { checks: [check('test'), check('types'), check('new', { state: 'failed' })] }, 'new did not'],
    ['a commit that names none', { checks: [] }, 'test, types of main were not run'],
    ['a commit that names fewer', { checks: [check('test')] }, 'types of main was not run'],
    ['one that was superseded', { checks: [check('test', { state: 'superseded' }), check('types')] }, 'test of main was not run'],
    ['an unreadable file', { checks: [], headProblem: 'line 3: bad' }, 'No checks were run: line 3: bad. Correct'],
    [
      'an unreadable file, and no checks in the base',
      { checks: [], required: [], headProblem: 'line 3: bad' },
      'No checks were run',
    ],
  ])('%s stops it, and the reason says what to do', (_, facts, reason) => {
    const verdict = verdictOf(facts);
    expect(verdict.ok).toBe(false);
    expect(verdict.reason).toContain(reason);
  });

  it('nothing is demanded where neither commit has checks', () => {
    expect(verdictOf({ checks: [], required: [] })).toEqual({ ok: true, reason: null });
  });

  it('a check that runs something else is told, and does not stop it', () => {
    const verdict = verdictOf({ checks: [check('test', { command: 'true' }), check('types')] });
    expect(verdict).toEqual({ ok: true, reason: 'test runs another command than on main.' });
  });
});

describe('where it does not', () => {
  it.each<[string, Partial<MergeFacts>]>([
    ['a failed check', { checks: [check('test', { state: 'failed' }), check('types')] }],
    ['a commit that names none', { checks: [] }],
    ['an unreadable file', { checks: [], headProblem: 'line 3: bad' }],
  ])('%s is a warning', (_, facts) => {
    const verdict = verdictOf({ ...facts, requirePassingChecks: false });
    expect(verdict.ok).toBe(true);
    expect(verdict.reason).not.toBeNull();
  });
});
