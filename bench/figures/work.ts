import type { Figures } from '../goals.ts';
import { type RunInGuest, VERIFIER } from '../guest/verifier.ts';
import { orderOfRound, type Ratio, ratioOfPairs } from '../stats.ts';

/** A few seconds of an emulated guest's time, and a little of it to find out what asking costs. */
const BLOCKS = { ask: 2_000, work: 202_000 } as const;

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

/** The way into the guest is left out: it is not the guest's work. */
async function timeOf(guest: RunInGuest): Promise<number> {
  const askMs = await duration(guest, BLOCKS.ask);
  return (await duration(guest, BLOCKS.work)) - askMs;
}

async function duration(guest: RunInGuest, blocks: number): Promise<number> {
  const startedAt = performance.now();
  await guest([VERIFIER, 'work', String(blocks)]);
  return performance.now() - startedAt;
}
