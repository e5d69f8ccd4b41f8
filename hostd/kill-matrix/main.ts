import { execFile } from 'node:child_process';
import os from 'node:os';
import { promisify } from 'node:util';
import { openTestHost } from '../machines/testing/vm-host.ts';
import { DISK_FAULTS, runDiskFault } from './disk-faults.ts';
import { FaultyDisk } from './faulty-disk.ts';
import { listScenarios, type Outcome, runScenario } from './scenarios.ts';
import { type Row, summarize } from './summary.ts';
import { World } from './world.ts';

/*
 * `npm run kill-matrix -- hostd [--json] [--only=TEXT]`: strikes the real hostd, its machines, its callers and its disk at every
 * fault point of every verb, and looks from outside at what is left. `--only` takes the faults whose line contains the text.
 * Exit code 1 when anything stayed broken, 2 when a part could not be run here.
 */
const args = process.argv.slice(2);
const isJson = args.includes('--json');
const only = args.find((arg) => arg.startsWith('--only='))?.slice('--only='.length) ?? '';
const rows: Row[] = [];

const say = (line: string) => void (isJson ? process.stderr : process.stdout).write(`${line}\n`);
const labelOf = ({ verb, point, victim }: Omit<Row, 'outcome'>) => `${verb.padEnd(16)}${point.padEnd(42)}${victim}`;
const isWanted = (row: Omit<Row, 'outcome'>) => labelOf(row).includes(only);
const brokeOff = (error: unknown): Outcome => ({ broken: [`the scenario broke off: ${error}`], recoveryMs: null });

function report(row: Row): void {
  const { broken, recoveryMs } = row.outcome;
  rows.push(row);
  const took = recoveryMs === null ? '' : `${Math.round(recoveryMs)} ms`.padStart(9);
  say(`${broken.length === 0 ? 'ok    ' : 'BROKEN'} ${labelOf(row).padEnd(68)}${took}`);
  for (const what of broken) say(`         ${what}`);
}

async function strikeProcesses(): Promise<void> {
  const scenarios = listScenarios()
    .map((scenario) => ({ scenario, row: { verb: scenario.verb.name, point: scenario.point, victim: scenario.victim } }))
    .filter(({ row }) => isWanted(row));
  if (scenarios.length === 0) return;
  let world = await World.make();
  try {
    for (const [turn, { scenario, row }] of scenarios.entries()) {
      const outcome = await runScenario(world, scenario, turn).catch(brokeOff);
      report({ ...row, outcome });
      if (outcome.broken.length === 0) continue;
      say(`         what hostd wrote is in ${await world.hostd.keepLog()}`);
      // What is broken here must not be counted again in the next.
      await world.hostd.destroy().catch((error: unknown) => say(`         could not be removed: ${error}`));
      world = await World.make();
    }
  } finally {
    await world.hostd.destroy();
  }
}

/** @returns why not; null when they were */
async function strikeDisks(): Promise<string | null> {
  const faults = DISK_FAULTS.map((fault) => ({
    fault,
    row: { verb: 'disk', point: fault.name, victim: 'disk' } as const,
  })).filter(({ row }) => isWanted(row));
  if (faults.length === 0) return null;
  const whyNot = await FaultyDisk.whyNot();
  if (whyNot !== null) return whyNot;
  for (const { fault, row } of faults) {
    const outcome = await runDiskFault(fault).then((broken): Outcome => ({ broken, recoveryMs: null }), brokeOff);
    report({ ...row, outcome });
  }
  return null;
}

const { accelerator } = await openTestHost();
const { stdout } = await promisify(execFile)('git', ['rev-parse', '--short', 'HEAD']).catch(() => ({ stdout: 'unknown' }));
await strikeProcesses();
const whyNoDisks = await strikeDisks();
if (rows.length === 0 && whyNoDisks === null) throw new Error(`no fault contains ${only}`);
const facts = { accelerator: accelerator.accelerator, cores: os.availableParallelism(), commit: stdout.trim() };
const summary = { ...summarize(rows), notRun: whyNoDisks, ...facts };
say(`${summary.kills} faults at ${summary.points} points, ${summary.brokenInvariants} invariants broken`);
if (whyNoDisks !== null) say(`not run: faults of the disk, because ${whyNoDisks}`);
if (isJson) console.log(JSON.stringify(summary));
process.exitCode = summary.brokenInvariants > 0 ? 1 : whyNoDisks === null ? 0 : 2;
