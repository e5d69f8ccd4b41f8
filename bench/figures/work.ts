import type { Figures } from '../goals.ts';
import { type RunInGuest, VERIFIER } from '../guest/verifier.ts';
import { orderOfRound, type Ratio, ratioOfPairs } from '../stats.ts';

/** About a second of an emulated guest's time. */
const BLOCKS = 20_000;

/** What a machine of hostd computes, against the same guest under plain QEMU: the same work by the host's clock. Both are awake. */
export async function measureWork(options: {
  pairs: number;
  warren: RunInGuest;
  plain: RunInGuest;
}): Promise<{ figures: Figures; ratios: Record<string, Ratio>; samples: Record<string, number[]> }> {
  const samples = { warren: [] as number[], plain: [] as number[] };
  for (let round = 0; round < options.pairs; round += 1) {
    for (const side of orderOfRound(['warren', 'plain'] as const, round)) {
      samples[side].push(await timeOf(options[side]));
    }
  }
  const ratio = ratioOfPairs(samples.warren, samples.plain);
  return { figures: { 'idle.guestWorkVsPlainQemu': ratio.low }, ratios: { 'guest work': ratio }, samples };
}

/** The way into the guest costs the same each time; twice the work less the work once leaves it out. */
async function timeOf(guest: RunInGuest): Promise<number> {
  const once = await duration(guest, BLOCKS);
  const thrice = await duration(guest, 3 * BLOCKS);
  return (thrice - once) / 2;
}

async function duration(guest: RunInGuest, blocks: number): Promise<number> {
  const startedAt = performance.now();
  await guest([VERIFIER, 'work', String(blocks)]);
  return performance.now() - startedAt;
}
