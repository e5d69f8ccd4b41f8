import { messageOf } from '../hostd/errors.ts';
import { allocatedBytes } from '../hostd/storage/files.ts';
import { untilInterrupted } from '../scripts/interrupted.ts';
import { ROOT } from '../scripts/settings.ts';
import { stage } from '../scripts/stage.ts';
import { HostError } from '../server/hosts/host-error.ts';
import { describeMemory } from './corpus.ts';
import { FIGURE_STAGES, sabotage } from './figure-stages.ts';
import { fingerprint } from './fingerprint.ts';
import { SIZES } from './guest/prepare.ts';
import { measureLimits } from './measure-limits.ts';
import { measureFloor } from './null-system.ts';
import type { Options } from './options.ts';
import { keep, lineOf, type Report, tableOf } from './report.ts';
import type { Run } from './run.ts';
import { Workspace } from './workspace.ts';

export type Dirs = { baseDir: string; logsDir: string; resultsDir: string };

/** @returns the exit code: 1 when a figure failed, a result is impossible, or a guest was not what it should be */
export async function runMachines(options: Options, dirs: Dirs): Promise<number> {
  const workspace = await Workspace.open(dirs.baseDir, dirs.logsDir);
  const run = { options, workspace, samples: {}, open: [] } as Pick<Run, 'options' | 'workspace' | 'samples' | 'open'>;
  try {
    const found = await measure(await begin(run), dirs);
    return found;
  } finally {
    for (const side of run.open.reverse()) await side.close().catch(() => undefined);
    await workspace.close();
  }
}

async function begin(run: Pick<Run, 'options' | 'workspace' | 'samples' | 'open'>): Promise<Run> {
  const { options, workspace } = run;
  const size = options.tiny ? SIZES.tiny : options.command === 'soak' ? SIZES.small : SIZES.main;
  const template = await workspace.template(size);
  const memory = workspace.layout.snapshot(template.snapshotId).memory;
  const residentBytes = await allocatedBytes(memory);
  const report: Report = {
    fingerprint: await fingerprint(ROOT, await workspace.hostView()),
    guest: { memoryMiB: size.memoryMiB, inUseMiB: template.inUseMiB, residentBytes, ...(await describeMemory(memory)) },
    limits: await measureLimits(workspace.runDir, workspace.host.driver.platform),
    checks: [],
    broken: [],
    floorMs: await measureFloor(),
    figures: {},
    ratios: {},
    notes: ['criu: not a peer here; it checkpoints processes, not machines, and does not start on this kind of kernel'],
    void: null,
    unavailable: {},
  };
  const hostd = await workspace.hostd();
  return { ...run, hostd, size, template, residentBytes, report, interrupted: untilInterrupted() };
}

async function measure(run: Run, { resultsDir }: Dirs): Promise<number> {
  const failed: string[] = [];
  const { interrupted } = run;
  const stages = run.options.figures.map((name) => [name, FIGURE_STAGES[name]] as const);
  for (const [name, work] of [...stages, ...(run.options.sabotage ? [['sabotage', sabotage] as const] : [])]) {
    let running = Promise.resolve();
    await stage(name, ({ note }) => {
      running = work(run, note);
      return Promise.race([running, rejection(interrupted)]);
    }).catch((error) => {
      failed.push(name);
      run.report.notes.push(`${name} failed: ${lastWords(error)}`);
    });
    // What one figure used must not be in the next one's way.
    for (const side of run.open.splice(0).reverse()) await side.close().catch(() => undefined);
    if (!interrupted.aborted) continue;
    // A soak that has lost its machine reports how far it came.
    await running.catch(() => undefined);
    break;
  }
  console.log(`\n${tableOf(run.report)}\n`);
  // A tiny guest says whether the bench works, not how fast anything is.
  const line = run.options.tiny ? lineOf(run.report, '') : await keep(resultsDir, run.report, run.samples);
  if (run.options.json) console.log(line);
  const { figures, broken } = run.report;
  const isWrong = (figures['soak.mismatches'] ?? 0) + (figures['soak.hangs'] ?? 0) + (figures['soak.duplicates'] ?? 0) > 0;
  return failed.length > 0 || broken.length > 0 || isWrong ? 1 : 0;
}

function rejection(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }));
}

/** A program that failed says a lot; the reason comes last. */
function lastWords(error: unknown): string {
  const tail = error instanceof HostError && error.tail ? `: ${error.tail}` : '';
  return `${messageOf(error)}${tail}`.trim().split('\n').slice(-3).join(' ').slice(-1_000);
}
