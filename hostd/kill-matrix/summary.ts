import type { Outcome, Victim } from './scenarios.ts';

/** One fault: at which point of which verb, who or what was struck, what came of it. */
export type Row = { verb: string; point: string; victim: Victim | 'disk'; outcome: Outcome };

export type Summary = {
  /** Faults struck, whoever was the victim. */
  kills: number;
  points: number;
  brokenInvariants: number;
  /** From the blow to a host whose machines are all in a resting state, over the kills of hostd and of QEMU. Null without any. */
  recoveryMsP50: number | null;
  recoveryMsP95: number | null;
  byVictim: Record<string, { faults: number; broken: number }>;
};

/** @param share from 0 to 1; one of the samples, rounded. Null when there are none */
export function percentile(samples: readonly number[], share: number): number | null {
  const sorted = [...samples].sort((a, b) => a - b);
  const found = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
  return found === undefined ? null : Math.round(found);
}

export function summarize(rows: Row[]): Summary {
  const times = rows.flatMap(({ outcome }) => outcome.recoveryMs ?? []);
  const byVictim: Summary['byVictim'] = {};
  for (const { victim, outcome } of rows) {
    const row = byVictim[victim] ?? { faults: 0, broken: 0 };
    byVictim[victim] = { faults: row.faults + 1, broken: row.broken + outcome.broken.length };
  }
  return {
    kills: rows.length,
    points: new Set(rows.map(({ verb, point }) => `${verb} ${point}`)).size,
    brokenInvariants: rows.reduce((sum, { outcome }) => sum + outcome.broken.length, 0),
    recoveryMsP50: percentile(times, 0.5),
    recoveryMsP95: percentile(times, 0.95),
    byVictim,
  };
}
