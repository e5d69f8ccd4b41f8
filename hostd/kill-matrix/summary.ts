import type { Outcome, Scenario, Victim } from './scenarios.ts';

type Row = { scenario: { point: string; victim: Victim; verb: Pick<Scenario['verb'], 'name'> }; outcome: Outcome };

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

export function summarize(rows: Row[]): Summary {
  const times = rows.flatMap(({ outcome }) => outcome.recoveryMs ?? []).sort((a, b) => a - b);
  const quantile = (share: number) => {
    const at = times[Math.min(times.length - 1, Math.floor(share * times.length))];
    return at === undefined ? null : Math.round(at);
  };
  const byVictim: Summary['byVictim'] = {};
  for (const { scenario, outcome } of rows) {
    const row = byVictim[scenario.victim] ?? { faults: 0, broken: 0 };
    byVictim[scenario.victim] = { faults: row.faults + 1, broken: row.broken + outcome.broken.length };
  }
  return {
    kills: rows.length,
    points: new Set(rows.map(({ scenario }) => `${scenario.verb.name} ${scenario.point}`)).size,
    brokenInvariants: rows.reduce((sum, { outcome }) => sum + outcome.broken.length, 0),
    recoveryMsP50: quantile(0.5),
    recoveryMsP95: quantile(0.95),
    byVictim,
  };
}
