import { describe, expect, it } from 'vitest';
import { percentile } from '../../hostd/kill-matrix/summary.ts';
import type { Outcome } from './attempt.ts';
import { ALL } from './categories.ts';
import { isFailure, markdown, summarize, tally } from './report.ts';
import { fill } from './run-probes.ts';

const outcome = (set: Partial<Outcome>): Outcome => ({
  category: 'network',
  name: 'a',
  phase: 'booted',
  control: false,
  verdict: 'held',
  note: '',
  ...set,
});
const FACTS = { accelerator: 'tcg', commit: 'abc', cores: 2, seconds: 1 };

describe('what counts as a failure', () => {
  it.each([
    [outcome({ verdict: 'held' }), false],
    [outcome({ verdict: 'through' }), true],
    [outcome({ verdict: 'not tried' }), true],
    [outcome({ control: true, verdict: 'through' }), false],
    [outcome({ control: true, verdict: 'held' }), true],
    [outcome({ control: true, verdict: 'not tried' }), true],
  ])('%o: %s', (made, failed) => {
    expect(isFailure(made)).toBe(failed);
  });
});

describe('the summary', () => {
  const outcomes = [
    outcome({}),
    outcome({ phase: 'resumed', verdict: 'through' }),
    outcome({ name: 'b', verdict: 'not tried' }),
    outcome({ name: 'c', control: true, verdict: 'through' }),
    outcome({ category: 'files' }),
  ];

  it('counts attempts with their phases, and controls apart', () => {
    expect(tally(outcomes)).toEqual({
      network: { attempts: 3, through: 1, notTried: 1 },
      files: { attempts: 1, through: 0, notTried: 0 },
    });
    const samples = { api: [1, 2, 3], otherMachine: [] };
    expect(summarize(outcomes, samples, samples, FACTS)).toMatchObject({
      attempts: 4,
      distinct: 3,
      through: 1,
      notTried: 1,
      controls: 1,
      controlsSeen: 1,
      responsive: { api: { duringMsP50: 2, duringMsP99: 3 }, otherMachine: { duringMsP50: null } },
      ...FACTS,
    });
  });

  it('makes the table of categories that were run', () => {
    const table = markdown(ALL, outcomes, FACTS, '2026-11-26');
    expect(table).toContain('Run of 2026-11-26 at abc, accelerator tcg, 2 cores');
    expect(table).toMatch(/^\| network \| .* \| 3 \| 1 \|$/m);
    expect(table).not.toContain('| channels |');
  });

  it('takes percentiles from what there is', () => {
    expect([percentile([], 0.5), percentile([7], 0.99), percentile([3, 1, 2], 0.5)]).toEqual([null, 7, 2]);
  });
});

describe('the attempts', () => {
  it('have one name each, and every category has a control', () => {
    for (const { name, attempts, controls } of ALL) {
      const names = [...attempts, ...controls].map((one) => one.name);
      expect(new Set(names).size, name).toBe(names.length);
      expect(controls.length, name).toBeGreaterThan(0);
    }
  });

  it('are filled with words and nothing else', () => {
    expect(fill('{token} {unknown} {}', { token: 't1' })).toBe('t1 {unknown} {}');
  });
});
