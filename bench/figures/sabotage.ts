import { dropFromCache } from '../page-cache.ts';
import { orderOfRound, type Ratio, ratioOfPairs } from '../stats.ts';
import type { WarrenSide } from '../warren-side.ts';

/** How much slower a resume must at least become without what it rests on; else the figure does not measure what it says. */
export const WORSENS_BY = 1.1;

/**
 * Takes away what a quick resume rests on: that the snapshot is in the page cache. The number must worsen.
 *
 * @param filesOf the sleeping machine's files, and what holds them if that is a file too
 */
export async function measureWithoutCache(options: {
  pairs: number;
  subject: WarrenSide;
  filesOf: (snapshotId: string) => string[];
  note: (line: string) => void;
}): Promise<{ ratios: Record<string, Ratio>; samples: Record<string, number[]>; worsens: boolean }> {
  const { pairs, subject, filesOf, note } = options;
  const samples = { cached: [] as number[], dropped: [] as number[] };
  for (let round = 0; round < pairs; round += 1) {
    for (const kind of orderOfRound(['cached', 'dropped'] as const, round)) {
      note(`${kind}, round ${round + 1} of ${pairs}`);
      if (kind === 'dropped') await dropFromCache(filesOf(subject.asleep.snapshotId));
      samples[kind].push((await subject.wake()).replyMs);
      await subject.sleep();
    }
  }
  const ratio = ratioOfPairs(samples.cached, samples.dropped);
  return { ratios: { 'sabotage: page cache dropped': ratio }, samples, worsens: ratio.ratio >= WORSENS_BY };
}
