import { readFile } from 'node:fs/promises';
import type { HostAttempt } from './attempt.ts';
import type { World } from './world.ts';

/** Slower than this counts as hung; everything below is only measured. */
const HUNG_MS = 60_000;
const MIB = 1024 * 1024;
/** More than a flood may leave behind in hostd: its own bounds add up to less. */
const HOSTD_GROWTH_BYTES_MAX = 384 * MIB;
const PAUSE_MS = 50;

/** Milliseconds of answers, in the order they came. */
export type Samples = { api: number[]; otherMachine: number[] };

export function noSamples(): Samples {
  return { api: [], otherMachine: [] };
}

async function timed(work: () => Promise<unknown>, hungMs: number): Promise<number> {
  const startedAt = performance.now();
  const hung = new Promise<never>((_resolve, reject) => {
    setTimeout(() => reject(new Error(`no answer within ${hungMs} ms`)), hungMs).unref();
  });
  await Promise.race([work(), hung]);
  return performance.now() - startedAt;
}

/** Asks hostd and the other machine, over and over until `over` settles, once at least. @throws when one of them hangs */
export async function watch(world: World, samples: Samples, over: Promise<unknown>, hungMs = HUNG_MS): Promise<void> {
  let isOver = false;
  const ended = over.then(
    () => undefined,
    () => undefined,
  );
  void ended.then(() => {
    isOver = true;
  });
  const ask = async (into: number[], work: () => Promise<unknown>) => {
    do {
      into.push(await timed(work, hungMs));
      await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, PAUSE_MS))]);
    } while (!isOver);
  };
  await Promise.all([
    ask(samples.api, () => world.hostd.call('GET', 'machines')),
    ask(samples.otherMachine, () => world.exec(world.victim, 'true')),
  ]);
}

async function hostdBytes(world: World): Promise<number> {
  const text = await readFile(`/proc/${world.hostd.pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(text)?.[1] ?? 0) * 1024;
}

/**
 * Runs a flood and looks at hostd and the other machine meanwhile. It got through when one of them hung or ended, or when
 * hostd kept what was thrown at it.
 */
export async function during(
  world: World,
  flood: () => Promise<{ tried: boolean; through?: string | null; note?: string }>,
): Promise<{ tried: boolean; through: string | null; note: string }> {
  const [pid, before] = [world.hostd.pid, await hostdBytes(world)];
  const running = flood();
  try {
    await watch(world, world.samples, running);
  } catch (cause) {
    return { tried: true, through: `hostd or the other machine hung: ${String(cause)}`, note: '' };
  }
  const { tried, through = null, note = '' } = await running;
  if (world.hostd.pid !== pid || pid === null) return { tried, through: 'hostd ended', note };
  const grown = (await hostdBytes(world)) - before;
  if (grown > HOSTD_GROWTH_BYTES_MAX) return { tried, through: `hostd grew by ${Math.round(grown / MIB)} MiB`, note };
  return { tried, through, note: `${note} hostd ${grown < 0 ? '' : '+'}${Math.round(grown / MIB)} MiB` };
}

/** The control of whatever `during` judges: a hostd that is stopped for a moment must be noticed. */
export const stoppedHostd: HostAttempt = {
  name: 'a hostd that is stopped is seen to hang',
  alone: true,
  run: async (world) => {
    const { pid } = world.hostd;
    if (pid === null) return { tried: false, through: null };
    process.kill(pid, 'SIGSTOP');
    try {
      await watch(world, noSamples(), Promise.resolve(), 500);
      return { tried: true, through: null };
    } catch (cause) {
      return { tried: true, through: String(cause) };
    } finally {
      process.kill(pid, 'SIGCONT');
    }
  },
};
