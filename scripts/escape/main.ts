import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import os from 'node:os';
import { promisify } from 'node:util';
import { untilInterrupted } from '../interrupted.ts';
import type { Category, Outcome } from './attempt.ts';
import { ALL, FROM_INSIDE, IN_SPARES, ON_THE_HOST } from './categories.ts';
import { noSamples, type Samples, watch } from './during.ts';
import { runCategories } from './matrix.ts';
import { isFailure, markdown, summarize, tally } from './report.ts';
import { World } from './world.ts';

/*
 * `npm run escape-matrix [-- --json] [--only=CATEGORY,…] [--details=FILE] [--markdown=FILE] [--once] [--verbose]`: a hostile
 * machine on a real hostd of its own tries to reach what is outside: freshly booted, resumed and forked. Exit code 0 only when
 * nothing got through, every attempt was made, and every detector was seen to work. `--once` leaves out what is repeated resumed
 * and forked.
 */
const CALM_MS = 8_000;

const args = process.argv.slice(2);
const isJson = args.includes('--json');
const argument = (flag: string) => args.find((arg) => arg.startsWith(`--${flag}=`))?.slice(flag.length + 3);
const only = argument('only')?.split(',');
const wanted = (categories: readonly Category[]) =>
  categories.filter(({ name }) => !only || only.some((one) => name.startsWith(one)));
const say = (line: string) => void (isJson ? process.stderr : process.stdout).write(`${line}\n`);

const interrupted = untilInterrupted();

function tell(outcome: Outcome): void {
  // An attempt whose machine is taken away has shown nothing.
  if (interrupted.aborted) return;
  if (!isFailure(outcome) && !args.includes('--verbose')) return;
  const { category, name, phase, control, verdict, note } = outcome;
  say(`  ${control ? 'control' : 'ATTEMPT'} ${category}: ${name} (${phase}): ${verdict}: ${note}`);
}

/** Every phase in turn. What was tried is in `outcomes` as it comes. */
async function attack(world: World, outcomes: Outcome[], calm: Samples): Promise<void> {
  const run = async (title: string, categories: readonly Category[]) => {
    const from = performance.now();
    const made = await runCategories(world, wanted(categories), tell);
    if (interrupted.aborted) return;
    outcomes.push(...made);
    const count = made.filter(({ control }) => !control).length;
    const held = made.filter(({ control, verdict }) => !control && verdict === 'held').length;
    say(`${title.padEnd(28)} ${String(held).padStart(4)} of ${count} held, ${Math.round((performance.now() - from) / 1000)} s`);
  };
  say('booting two machines');
  await world.boot();
  await watch(world, calm, new Promise((resolve) => setTimeout(resolve, CALM_MS)));
  await run('freshly booted', FROM_INSIDE);
  await world.suspend();
  await run('asleep, from the host', ON_THE_HOST);
  if (!args.includes('--once')) {
    await world.resume();
    await run('resumed', FROM_INSIDE);
    await world.suspend();
    await world.fork();
    await run('forked', FROM_INSIDE);
  }
  await run('in forks of their own', IN_SPARES);
}

async function main(): Promise<number> {
  const startedAt = performance.now();
  const outcomes: Outcome[] = [];
  const calm = noSamples();
  const world = await World.make();
  try {
    await Promise.race([attack(world, outcomes, calm), once(interrupted, 'abort')]);
    if (interrupted.aborted) return 130;
    if (outcomes.some(isFailure)) say(`what hostd wrote is in ${await world.hostd.keepLog()}`);
  } finally {
    await world.end();
  }
  const commit = (
    await promisify(execFile)('git', ['rev-parse', '--short', 'HEAD']).catch(() => ({ stdout: 'unknown' }))
  ).stdout.trim();
  const facts = {
    accelerator: world.hostd.accelerator,
    commit,
    cores: os.availableParallelism(),
    seconds: Math.round((performance.now() - startedAt) / 1000),
  };
  const summary = summarize(outcomes, calm, world.samples, facts);
  for (const [name, { attempts, through, notTried }] of Object.entries(tally(outcomes)))
    say(
      `${name.padEnd(20)} ${String(attempts).padStart(4)} attempts ${String(through).padStart(4)} through ${String(notTried).padStart(4)} not tried`,
    );
  const { api, otherMachine } = summary.responsive;
  say(
    `hostd answered in ${api.duringMsP50} ms during floods (p99 ${api.duringMsP99}; before: ${api.beforeMsP50}, ${api.beforeMsP99})`,
  );
  say(
    `the other machine in ${otherMachine.duringMsP50} ms (p99 ${otherMachine.duringMsP99}; before: ${otherMachine.beforeMsP50}, ${otherMachine.beforeMsP99})`,
  );
  say(
    `${summary.attempts} attempts (${summary.distinct} different), ${summary.through} through, ${summary.notTried} not tried, ${summary.controlsSeen} of ${summary.controls} controls seen`,
  );
  const [details, table] = [argument('details'), argument('markdown')];
  if (details) await writeFile(details, `${JSON.stringify(outcomes, null, 2)}\n`);
  if (table) await writeFile(table, `${markdown(ALL, outcomes, facts, new Date().toISOString().slice(0, 10))}\n`);
  if (isJson) console.log(JSON.stringify(summary));
  return outcomes.some(isFailure) ? 1 : 0;
}

// Attempts that were interrupted are still waiting for their answers.
process.exit(await main());
