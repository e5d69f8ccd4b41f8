import type { Figures } from '../goals.ts';
import { orderOfRound, type Ratio, ratioOfPairs } from '../stats.ts';
import type { WarrenSide } from '../warren-side.ts';

type Options = { pairs: number; small: WarrenSide; large: WarrenSide; note: (line: string) => void };

/** Whether a resume takes longer the more memory is in use: the subject against itself, in two sizes. */
export async function measureGrowth({ pairs, small, large, note }: Options): Promise<{
  figures: Figures;
  ratios: Record<string, Ratio>;
  samples: Record<string, number[]>;
}> {
  const samples = { small: [] as number[], large: [] as number[] };
  const sides = [
    { name: 'small', side: small },
    { name: 'large', side: large },
  ] as const;
  for (let round = -1; round < pairs; round += 1) {
    note(round < 0 ? 'one round to warm up' : `round ${round + 1} of ${pairs}`);
    for (const { name, side } of orderOfRound(sides, Math.max(0, round))) {
      const { replyMs } = await side.wake();
      await side.sleep();
      if (round >= 0) samples[name].push(replyMs);
    }
  }
  const growth = ratioOfPairs(samples.small, samples.large);
  // Less is better here: the upper bound is the cautious one.
  return { figures: { 'resume.growth512MiBTo4GiB': growth.high }, ratios: { growth }, samples };
}
