import type { Figures } from '../goals.ts';
import { Mismatch, type RunInGuest, work } from '../guest/verifier.ts';
import { orderOfRound, type Ratio, ratioOfPairs } from '../stats.ts';

/** A second or two of an emulated guest's time. */
const BLOCKS = 500_000;
/** More samples than of anything else: they are cheap, and what is looked for is small. */
const ROUNDS_PER_PAIR = 3;
/** A guest's clock that lags behind the host's by more than the way in and out, and this share of the work, is not believed. */
const CLOCK_LAG_MAX = { ms: 1_000, share: 0.1 } as const;

/** What a machine of hostd computes, against the same guest under plain QEMU: the same work. Both are awake. */
export async function measureWork(options: {
  pairs: number;
  warren: RunInGuest;
  plain: RunInGuest;
}): Promise<{ figures: Figures; ratios: Record<string, Ratio>; samples: Record<string, number[]> }> {
  const samples = { warren: [] as number[], plain: [] as number[] };
  for (let round = 0; round < options.pairs * ROUNDS_PER_PAIR; round += 1) {
    for (const side of orderOfRound(['warren', 'plain'] as const, round)) {
      samples[side].push(await timeOf(options[side]));
    }
  }
  const ratio = ratioOfPairs(samples.warren, samples.plain);
  return { figures: { 'idle.guestWorkVsPlainQemu': ratio.low }, ratios: { 'guest work': ratio }, samples };
}

/** By the guest's clock, which leaves out the way into it; the host's clock says whether that one can be believed. */
async function timeOf(guest: RunInGuest): Promise<number> {
  const startedAt = performance.now();
  const tookMs = await work(guest, BLOCKS);
  const hostMs = performance.now() - startedAt;
  if (hostMs - tookMs > CLOCK_LAG_MAX.ms + CLOCK_LAG_MAX.share * hostMs || tookMs > hostMs) {
    throw new Mismatch(`the guest says it worked for ${tookMs} ms, the host saw ${hostMs} ms`);
  }
  return tookMs;
}
