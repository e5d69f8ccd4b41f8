import { percentile } from '../../hostd/kill-matrix/summary.ts';
import type { Category, Outcome } from './attempt.ts';
import type { Samples } from './during.ts';

export type Tally = { attempts: number; through: number; notTried: number };

/** A failure is an attempt that got through or was not made, and a control that did not. */
export function isFailure({ control, verdict }: Outcome): boolean {
  return control ? verdict !== 'through' : verdict !== 'held';
}

/** Attempts of each category, controls left out; an attempt counts once for each phase it was made in. */
export function tally(outcomes: readonly Outcome[]): Record<string, Tally> {
  const tallies: Record<string, Tally> = {};
  for (const { category, control, verdict } of outcomes) {
    if (control) continue;
    tallies[category] ??= { attempts: 0, through: 0, notTried: 0 };
    const own = tallies[category];
    own.attempts += 1;
    if (verdict === 'through') own.through += 1;
    if (verdict === 'not tried') own.notTried += 1;
  }
  return tallies;
}

export type Facts = { accelerator: string; commit: string; cores: number; seconds: number };

function answers(before: readonly number[], during: readonly number[]) {
  return {
    beforeMsP50: percentile(before, 0.5),
    beforeMsP99: percentile(before, 0.99),
    duringMsP50: percentile(during, 0.5),
    duringMsP99: percentile(during, 0.99),
    samples: during.length,
  };
}

/** The last line of `--json`. */
export function summarize(outcomes: readonly Outcome[], calm: Samples, busy: Samples, facts: Facts) {
  const attempts = outcomes.filter(({ control }) => !control);
  const controls = outcomes.filter(({ control }) => control);
  return {
    attempts: attempts.length,
    distinct: new Set(attempts.map(({ category, name }) => `${category}\n${name}`)).size,
    countedAs: 'attempt x phase (booted, resumed, forked; snapshots once)',
    through: attempts.filter(({ verdict }) => verdict === 'through').length,
    notTried: attempts.filter(({ verdict }) => verdict === 'not tried').length,
    controls: controls.length,
    controlsSeen: controls.filter(({ verdict }) => verdict === 'through').length,
    byCategory: tally(outcomes),
    responsive: { api: answers(calm.api, busy.api), otherMachine: answers(calm.otherMachine, busy.otherMachine) },
    ...facts,
  };
}

/** The table of docs/security.md. */
export function markdown(categories: readonly Category[], outcomes: readonly Outcome[], facts: Facts, date: string): string {
  const tallies = tally(outcomes);
  const rows = categories
    .filter(({ name }) => tallies[name])
    .map(({ name, about }) => `| ${name} | ${about} | ${tallies[name]?.attempts} | ${tallies[name]?.through} |`);
  return [
    `Run of ${date} at ${facts.commit}, accelerator ${facts.accelerator}, ${facts.cores} cores:`,
    '',
    '| category | what is tried | attempts | through |',
    '|---|---|---|---|',
    ...rows,
  ].join('\n');
}
