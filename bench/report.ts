import { appendFile, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Fingerprint } from './fingerprint.ts';
import { type FigureKey, type Figures, GOALS, judge, nest } from './goals.ts';
import type { Check, Limits } from './limits.ts';
import type { Ratio } from './stats.ts';

export type Report = {
  fingerprint: Fingerprint;
  guest: { memoryMiB: number; inUseMiB: number; residentBytes: number; zeroShare: number; compressedRatio: number } | null;
  limits: Limits;
  checks: Check[];
  broken: Check[];
  floorMs: number;
  figures: Figures;
  ratios: Record<string, Ratio>;
  notes: string[];
  /** Why the run counts for nothing; null when it counts. */
  void: string | null;
  unavailable: Record<string, string>;
};

const number = (value: number) => (Math.abs(value) >= 100 ? value.toFixed(0) : value.toFixed(2));
const mebibytes = (bytes: number) => `${Math.round(bytes / 1024 / 1024)} MiB`;

/** The table for people, as Markdown. */
export function tableOf(report: Report): string {
  const { fingerprint: at, limits, guest } = report;
  const lines = [
    `commit ${at.commit}${at.dirty ? ` with ${at.dirty} changed files` : ''}, ${at.date.slice(0, 16)}Z, accelerator ${at.accelerator}, ${at.cores} cores (${at.cpu}), kernel ${at.kernel}, QEMU ${at.qemuVersion}, load ${at.load.join(' ')}`,
  ];
  if (guest) {
    const { memoryMiB, inUseMiB, residentBytes, zeroShare, compressedRatio } = guest;
    lines.push(
      `guest of ${memoryMiB} MiB, ${inUseMiB} in use, ${mebibytes(residentBytes)} resident: ${(zeroShare * 100).toFixed(1)} % zero pages, the rest compresses ${compressedRatio.toFixed(2)} times`,
    );
  }
  lines.push(
    `limits: memcpy ${(limits.memcpyBytesPerSecond / 1e9).toFixed(1)} GB/s, first touch ${(limits.firstTouchBytesPerSecond / 1e9).toFixed(2)} GB/s, unix RTT ${(limits.unixRttMs * 1000).toFixed(0)} us, QEMU to QMP ${limits.qemuStartMs.toFixed(0)} ms; harness floor ${report.floorMs.toFixed(1)} ms`,
    '',
    '| figure | claimed | must | aim | |',
    '|---|---|---|---|---|',
  );
  for (const key of Object.keys(GOALS) as FigureKey[]) {
    const value = report.figures[key];
    if (value === undefined && report.unavailable[key] === undefined) continue;
    const { what, must, aim } = GOALS[key];
    const verdict = judge(key, value);
    const why = verdict === 'not measured' ? `: ${report.unavailable[key] ?? 'no reason given'}` : '';
    lines.push(
      `| ${what} | ${value === null || value === undefined ? '–' : number(value)} | ${must} | ${aim} | ${verdict}${why} |`,
    );
  }
  lines.push('', '| ratio of paired medians | ratio | 95 % interval | pairs |', '|---|---|---|---|');
  for (const [name, { ratio, low, high, pairs }] of Object.entries(report.ratios)) {
    lines.push(`| ${name} | ${number(ratio)} | ${number(low)} to ${number(high)} | ${pairs} |`);
  }
  if (report.checks.length > 0)
    lines.push('', '| quickest, ms | achieved | physical limit | times the limit |', '|---|---|---|---|');
  for (const { figure, value, atLeast } of report.checks) {
    lines.push(`| ${figure} | ${number(value)} | ${number(atLeast)} | ${number(value / atLeast)} |`);
  }
  if (report.notes.length > 0) lines.push('', ...report.notes);
  for (const { figure, value, atLeast, because } of report.broken) {
    lines.push('', `IMPOSSIBLE: ${figure} took ${number(value)}, at least ${number(atLeast)} is needed: ${because}.`);
  }
  if (report.void) lines.push('', `VOID: ${report.void}`);
  return lines.join('\n');
}

/** The JSON line: the figures by their names, and where they come from. */
export function lineOf(report: Report, samplesFile: string): string {
  const { fingerprint: at, figures, ratios, guest, limits, floorMs, unavailable } = report;
  return JSON.stringify({
    ...nest(figures),
    accelerator: at.accelerator,
    commit: at.commit,
    cores: at.cores,
    void: report.void,
    checks: report.checks,
    impossible: report.broken,
    unavailable,
    fingerprint: at,
    guest,
    limits,
    floorMs,
    ratios,
    samplesFile,
  });
}

/** Appends the line to the results and writes the raw samples beside them. @returns the line */
export async function keep(resultsDir: string, report: Report, samples: unknown): Promise<string> {
  await mkdir(resultsDir, { recursive: true });
  const samplesFile = `${report.fingerprint.date.replace(/[:.]/g, '-')}.samples.json`;
  await writeFile(path.join(resultsDir, samplesFile), `${JSON.stringify(samples)}\n`);
  const line = lineOf(report, samplesFile);
  await appendFile(path.join(resultsDir, 'machines.jsonl'), `${line}\n`);
  return line;
}
