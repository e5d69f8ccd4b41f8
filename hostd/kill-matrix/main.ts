import { execFile } from 'node:child_process';
import os from 'node:os';
import { promisify } from 'node:util';
import { openTestHost } from '../machines/testing/vm-host.ts';
import { listScenarios, type Outcome, runScenario, type Scenario, VICTIMS, type Victim } from './scenarios.ts';
import { summarize } from './summary.ts';
import { World } from './world.ts';

/*
 * `npm run kill-matrix -- hostd [--json] [--only=TEXT]`: strikes the real hostd, its machines and its callers at every fault
 * point of every verb, and looks from outside at what is left. Exit code 1 when anything stayed broken.
 */
const args = process.argv.slice(2);
const isJson = args.includes('--json');
const only = args.find((arg) => arg.startsWith('--only='))?.slice('--only='.length);
const victims = VICTIMS.filter((victim): victim is Victim => only === undefined || !isVictim(only) || victim === only);

function isVictim(text: string): boolean {
  return VICTIMS.some((victim) => victim === text);
}

const labelOf = ({ verb, point, victim }: Scenario) => `${verb.name.padEnd(16)}${point.padEnd(26)}${victim}`;

async function main(): Promise<void> {
  const scenarios = listScenarios(victims).filter((one) => only === undefined || isVictim(only) || labelOf(one).includes(only));
  if (scenarios.length === 0) throw new Error(`no scenario contains ${only}`);
  const { accelerator } = await openTestHost();
  const { stdout } = await promisify(execFile)('git', ['rev-parse', '--short', 'HEAD']).catch(() => ({ stdout: 'unknown' }));
  const say = (line: string) => void (isJson ? process.stderr : process.stdout).write(`${line}\n`);
  say(`${scenarios.length} faults, accelerator ${accelerator.accelerator}`);
  let world = await World.make();
  const outcomes: { scenario: Scenario; outcome: Outcome }[] = [];
  try {
    for (const [turn, scenario] of scenarios.entries()) {
      const outcome = await runScenario(world, scenario, turn).catch(
        (error: unknown): Outcome => ({ broken: [`the scenario broke off: ${error}`], recoveryMs: null }),
      );
      outcomes.push({ scenario, outcome });
      const took = outcome.recoveryMs === null ? '' : `${Math.round(outcome.recoveryMs)} ms`.padStart(9);
      say(`${outcome.broken.length === 0 ? 'ok    ' : 'BROKEN'} ${labelOf(scenario).padEnd(52)}${took}`);
      for (const what of outcome.broken) say(`         ${what}`);
      if (outcome.broken.length === 0) continue;
      // What is broken here must not be counted again in the next.
      await world.hostd.destroy().catch((error: unknown) => say(`         could not be removed: ${error}`));
      world = await World.make();
    }
  } finally {
    await world.hostd.destroy();
  }
  const facts = { accelerator: accelerator.accelerator, cores: os.availableParallelism(), commit: stdout.trim() };
  const summary = { ...summarize(outcomes), ...facts };
  say(`${summary.kills} faults at ${summary.points} points, ${summary.brokenInvariants} invariants broken`);
  if (isJson) console.log(JSON.stringify(summary));
  process.exitCode = summary.brokenInvariants === 0 ? 0 : 1;
}

await main();
