import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { changedRuns } from './pagemap.ts';

/** Entries as the kernel writes them: bit 63 present, 62 swapped, 61 of a file or shared. */
const entries = (flags: number[]) => {
  const bytes = Buffer.alloc(flags.length * 8);
  for (const [page, value] of flags.entries()) bytes.writeBigUInt64LE((BigInt(value) << 61n) | 0x1234n, page * 8);
  return bytes;
};
const PRIVATE = 0b100;
const OF_FILE = 0b101;
const SWAPPED = 0b010;
const ABSENT = 0;

describe('the pages that were changed', () => {
  it('are those with memory of their own, and those that were swapped out', () => {
    expect(changedRuns(entries([ABSENT, PRIVATE, PRIVATE, OF_FILE, SWAPPED, ABSENT, PRIVATE]))).toEqual([
      { page: 1, count: 2 },
      { page: 4, count: 1 },
      { page: 6, count: 1 },
    ]);
    expect(changedRuns(entries([]))).toEqual([]);
  });

  it('are each in exactly one run, and runs do not touch', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(PRIVATE, OF_FILE, SWAPPED, ABSENT)), (flags) => {
        const runs = changedRuns(entries(flags));
        const pages = runs.flatMap(({ page, count }) => Array.from({ length: count }, (_, at) => page + at));
        expect(pages).toEqual(flags.flatMap((flag, page) => (flag === PRIVATE || flag === SWAPPED ? [page] : [])));
        for (const [at, run] of runs.entries())
          expect(run.page).toBeGreaterThan(at === 0 ? -1 : runs[at - 1]!.page + runs[at - 1]!.count);
      }),
    );
  });
});
