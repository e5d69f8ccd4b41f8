import { isUp, signInToDemo } from './demo/installation.ts';
import { hostdOf, loadSettings } from './settings.ts';
import { StageError } from './stage.ts';
import type { Case, Place, Seen } from './trouble/case.ts';
import { FULL_DISKS } from './trouble/full-disk.ts';
import { KILLED } from './trouble/killed.ts';
import { OUTDATED_THREAD } from './trouble/outdated-thread.ts';
import { OVERDUE } from './trouble/overdue.ts';

/*
 * `npm run trouble`: against a running demo installation, harms one part after another, most of them in the middle of an agent's
 * turn, and looks from outside at what becomes of the session. The last line is JSON; exit code 0 only when each case ended as it
 * must. Names of cases as arguments run only those.
 */
const CASES: Record<string, Case> = { ...KILLED, ...FULL_DISKS, overdue: OVERDUE, 'outdated-thread': OUTDATED_THREAD };

async function runCase(name: string, place: Place): Promise<Seen | { skipped: string }> {
  const { whyNot, run } = CASES[name] as Case;
  try {
    const skipped = (await whyNot?.(place)) ?? null;
    return skipped === null ? await run(place) : { skipped };
  } catch (cause) {
    return { ok: false, error: cause instanceof Error ? cause.message : String(cause) };
  }
}

/**
 * @param asked names of cases; none for all
 * @returns the exit code
 * @throws when a name is not one, or no installation runs here
 */
export async function runTrouble(asked: string[]): Promise<number> {
  const unknown = asked.filter((name) => !(name in CASES));
  if (unknown.length > 0) {
    throw new StageError(`There is no case ${unknown.join(', ')}.`, { nextStep: `choose of ${Object.keys(CASES).join(', ')}` });
  }
  const settings = await loadSettings();
  if (!(await isUp(settings))) {
    throw new StageError(`Nothing answers at ${settings.url}.`, { nextStep: 'run npm start in another terminal first' });
  }
  const place = { settings, hostd: hostdOf(settings), ...(await signInToDemo(settings)) };
  const lost: string[] = [];
  const skipped: string[] = [];
  const names = asked.length > 0 ? asked : Object.keys(CASES);
  for (const name of names) {
    const startedAt = performance.now();
    const seen = await runCase(name, place);
    const seconds = Math.round((performance.now() - startedAt) / 1000);
    console.log(`  ${name} after ${seconds} s: ${JSON.stringify(seen)}`);
    if ('skipped' in seen) skipped.push(name);
    else if (!seen.ok) lost.push(name);
  }
  const tried = names.length - skipped.length;
  console.log(JSON.stringify({ tried, recovered: tried - lost.length, lost, skipped }));
  return lost.length === 0 ? 0 : 1;
}
