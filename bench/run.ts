import type { Figures } from './goals.ts';
import type { GuestSize } from './guest/prepare.ts';
import type { Hostd } from './hostd.ts';
import type { Options } from './options.ts';
import type { Report } from './report.ts';
import type { Side } from './side.ts';
import type { Ratio } from './stats.ts';
import type { Workspace } from './workspace.ts';

/** One run of the bench: what it measures with, and what it has found so far. */
export type Run = {
  options: Options;
  workspace: Workspace;
  hostd: Hostd;
  /** The guest of most figures, and its template. */
  size: GuestSize;
  template: { snapshotId: string; secret: string };
  residentBytes: number;
  report: Report;
  samples: Record<string, unknown>;
  /** Aborts at the first Ctrl-C. */
  interrupted: AbortSignal;
  /** Ended after the run, however it ends. */
  open: Pick<Side, 'close'>[];
};

type Found = { figures: Figures; ratios?: Record<string, Ratio>; samples?: unknown; notes?: string[] };

/** Adds what a figure found to the report. */
export function take(run: Run, name: string, { figures, ratios, samples, notes }: Found): void {
  Object.assign(run.report.figures, figures);
  Object.assign(run.report.ratios, ratios);
  run.report.notes.push(...(notes ?? []));
  if (samples !== undefined) run.samples[name] = samples;
}
