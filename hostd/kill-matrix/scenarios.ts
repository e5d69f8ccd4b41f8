import type { FaultPoint } from '../fault/fault-point.ts';
import { findBroken, lookAround } from './invariants.ts';
import { clean, killProcess, live, type Subject, VERBS, type Verb } from './verbs.ts';
import type { World } from './world.ts';

/*
 * Who is struck at a fault point:
 * - hostd: kill -9, then a new hostd over the same directory
 * - recovery: as hostd, and the new hostd is killed as well, in the middle of cleaning up
 * - qemu: kill -9 of the machine's process while hostd stands at the point
 * - worker: its connection is cut while hostd stands at the point, as when the worker is killed; the verb goes on
 * - ENOSPC, EIO: what comes next fails with that error
 */
export const VICTIMS = ['hostd', 'recovery', 'qemu', 'worker', 'ENOSPC', 'EIO'] as const;
export type Victim = (typeof VICTIMS)[number];

export type Scenario = { verb: Verb; point: FaultPoint; victim: Victim };
export type Outcome = { broken: string[]; recoveryMs: number | null };

const STRIKE_DEADLINE_MS = 120_000;
const NOTICE_DEADLINE_MS = 30_000;
/** Where nobody is told: hostd does these by itself, or after it has answered. */
const NOT_FOR_DISK_ERRORS: readonly FaultPoint[] = ['exit.qemu_gone', 'discard.renamed', 'create.channel_open'];
const RECOVERY_POINTS: readonly FaultPoint[] = ['recover.begun', 'recover.machine_done'];

/** Every verb at every point with every victim that can be struck there. */
export function listScenarios(victims: readonly Victim[] = VICTIMS): Scenario[] {
  return VERBS.flatMap((verb) =>
    verb.points.flatMap((point) =>
      victims.filter((victim) => canStrike(verb, point, victim)).map((victim) => ({ verb, point, victim })),
    ),
  );
}

function canStrike(verb: Verb, point: FaultPoint, victim: Victim): boolean {
  switch (victim) {
    case 'hostd':
    case 'recovery':
      return true;
    case 'qemu':
      return verb.alive.includes(point);
    case 'worker':
      return verb.name !== 'exit';
    case 'ENOSPC':
    case 'EIO':
      return !NOT_FOR_DISK_ERRORS.includes(point);
  }
}

/** Harms one machine of the world and says what stayed broken afterwards. The world is left as it was, or this says why not. */
export async function runScenario(world: World, { verb, point, victim }: Scenario, turn: number): Promise<Outcome> {
  const { hostd } = world;
  const subject: Subject = { machineId: world.nextId('mch'), snapshotId: world.nextId('snp') };
  await verb.prepare(world, subject);
  await hostd.kill();
  const action =
    victim === 'hostd' || victim === 'recovery' ? 'kill' : victim === 'qemu' || victim === 'worker' ? 'hold' : victim;
  await hostd.start({ point, action });
  const caller = new AbortController();
  const asked = verb.ask(world, subject, caller.signal).then(
    () => 'done',
    (error: unknown) => String(error),
  );
  if (action === 'kill' || action === 'hold') await struckInTime(hostd.struck(), point);

  const struckAt = performance.now();
  if (victim === 'recovery') {
    const again = RECOVERY_POINTS[turn % RECOVERY_POINTS.length]!;
    // Where no machine was left there is none to be done with, and it simply starts.
    await hostd.start({ point: again, action: 'kill' }).catch(() => {});
    await hostd.kill();
  }
  if (action === 'kill') await hostd.start();
  if (victim === 'qemu') await killProcess(world, subject);
  if (victim === 'worker') caller.abort();
  if (action === 'hold') hostd.release();
  const answer = await asked;
  // Nobody waits for the verb any more; who asks again gets in line behind it.
  if (victim === 'worker') await verb.ask(world, subject, live).catch(() => {});
  await world.settle();
  const settledMs = performance.now() - struckAt;
  // hostd notices a moment later that a process has gone, and brings snapshots to the disk in the background.
  await wholeAgain(world);
  const wholeMs = performance.now() - struckAt;
  const recoveryMs = victim === 'qemu' ? wholeMs : action === 'kill' ? settledMs : null;

  const broken = findBroken(await lookAround(hostd));
  if ((victim === 'ENOSPC' || victim === 'EIO') && answer === 'done') broken.push(`${victim} was not told to the caller`);
  broken.push(...(await verb.verify(world, subject, victim === 'qemu').catch((error: unknown) => [`asked again: ${error}`])));
  await clean(world, subject).catch((error: unknown) => broken.push(`cleaning up: ${error}`));
  await wholeAgain(world);
  broken.push(...findBroken(await lookAround(hostd)).map((what) => `in the end: ${what}`));
  return { broken, recoveryMs };
}

/** Until nothing is broken any more, or long enough that it never will be. */
async function wholeAgain({ hostd }: World): Promise<void> {
  for (const deadline = performance.now() + NOTICE_DEADLINE_MS; performance.now() < deadline; ) {
    if (findBroken(await lookAround(hostd)).length === 0) return;
  }
}

async function struckInTime(struck: Promise<unknown>, point: FaultPoint): Promise<void> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`${point} was not passed`)), STRIKE_DEADLINE_MS);
  await Promise.race([struck, late]).finally(() => clearTimeout(timer));
}
