import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { appendPage, clip, decodeRuns, encodeRuns, overlay, type Run, ZERO } from './page-map.ts';

const PAGES = 64;
const place = fc.oneof(
  fc.constant(null),
  fc.record({ pack: fc.integer({ min: -1, max: 3 }), slot: fc.integer({ min: 0, max: 4000 }) }),
);
/** A file as an array: for each page where it lies, null where the map says nothing. */
const places = fc.array(place, { minLength: PAGES, maxLength: PAGES });

function toRuns(file: ({ pack: number; slot: number } | null)[]): Run[] {
  const runs: Run[] = [];
  for (const [page, at] of file.entries()) if (at) appendPage(runs, page, at.pack, at.slot);
  return runs;
}

function toPlaces(runs: readonly Run[]): ({ pack: number; slot: number } | null)[] {
  const file: ({ pack: number; slot: number } | null)[] = Array.from({ length: PAGES }, () => null);
  for (const { page, count, pack, slot } of runs)
    for (let index = 0; index < count; index += 1) file[page + index] = { pack, slot: pack === ZERO ? 0 : slot + index };
  return file;
}

describe('a page map', () => {
  it('laid over another shows what changed and, behind it, what did not', () => {
    fc.assert(
      fc.property(places, places, (below, above) => {
        const lower = toPlaces(toRuns(below));
        const upper = toPlaces(toRuns(above));
        expect(toPlaces(overlay(toRuns(below), toRuns(above)))).toEqual(upper.map((at, page) => at ?? lower[page]));
      }),
    );
  });

  it('is the same after it was written and read', () => {
    fc.assert(
      fc.property(places, (file) => {
        const runs = toRuns(file);
        expect(decodeRuns(encodeRuns(runs), { pages: PAGES, packs: 4 })).toEqual(runs);
      }),
    );
  });

  it('of any bytes is refused or stays within its file and its packs', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        let runs: Run[];
        try {
          runs = decodeRuns(Buffer.from(bytes), { pages: PAGES, packs: 4 });
        } catch {
          return;
        }
        for (const run of runs) {
          expect(run.page + run.count).toBeLessThanOrEqual(PAGES);
          expect(run.pack).toBeLessThan(4);
          expect(run.slot + run.count).toBeLessThanOrEqual(4096);
        }
      }),
    );
  });

  it('ends where a file ends that became smaller', () => {
    const runs = [
      { page: 0, count: 10, pack: 0, slot: 5 },
      { page: 20, count: 5, pack: ZERO, slot: 0 },
    ];
    expect(clip(runs, 7)).toEqual([{ page: 0, count: 7, pack: 0, slot: 5 }]);
  });

  it('needs about four bytes for a page that was changed alone', () => {
    const runs: Run[] = [];
    for (let index = 0; index < 1000; index += 1) appendPage(runs, index * 87, 0, index);
    expect(encodeRuns(runs).length).toBeLessThanOrEqual(4 * 1000 + 10);
  });
});
