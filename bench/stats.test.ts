import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { median, orderOfRound, quantile, ratioOfPairs, seededRandom, summarize } from './stats.ts';

describe('medians and quantiles', () => {
  it.each([
    [[3], 3],
    [[1, 2], 1.5],
    [[9, 1, 5], 5],
    [[4, 1, 3, 2], 2.5],
  ])('the median of %j is %d', (samples, expected) => expect(median(samples)).toBe(expected));

  it.each([
    [0, 1],
    [0.5, 2],
    [0.95, 4],
    [1, 4],
  ])('the quantile %d of 1 to 4 is the sample %d', (share, expected) => expect(quantile([4, 2, 3, 1], share)).toBe(expected));

  it('says so when there is nothing to summarise', () => {
    expect(() => summarize([])).toThrow('there are no samples');
  });

  it('stays within the samples', () => {
    const samples = fc.array(fc.double({ min: 0, max: 1e9, noNaN: true }), { minLength: 1 });
    fc.assert(
      fc.property(samples, fc.double({ min: 0, max: 1, noNaN: true }), (values, share) => {
        expect(values).toContain(quantile(values, share));
        expect(median(values)).toBeGreaterThanOrEqual(Math.min(...values));
        expect(median(values)).toBeLessThanOrEqual(Math.max(...values));
      }),
    );
  });
});

describe('ratio of pairs', () => {
  it('refuses sides that are not paired', () => {
    expect(() => ratioOfPairs([1, 2], [1])).toThrow('cannot be paired');
    expect(() => ratioOfPairs([], [])).toThrow();
  });

  it('is exact when every pair says the same', () => {
    expect(ratioOfPairs([1, 2, 4], [10, 20, 40])).toMatchObject({ ratio: 10, pairs: 3 });
  });

  it('has an interval that holds the ratio and shrinks with more pairs', () => {
    const random = seededRandom(7);
    const noisy = (around: number) => around * (0.8 + 0.4 * random());
    const draw = (pairs: number) => {
      const subject = Array.from({ length: pairs }, () => noisy(100));
      return ratioOfPairs(
        subject,
        subject.map(() => noisy(1_000)),
      );
    };
    const [few, many] = [draw(5), draw(200)];
    for (const { low, ratio, high } of [few, many]) {
      expect(low).toBeLessThanOrEqual(ratio);
      expect(high).toBeGreaterThanOrEqual(ratio);
    }
    expect(many.high - many.low).toBeLessThan(few.high - few.low);
    expect(many.low).toBeGreaterThan(9);
    expect(many.high).toBeLessThan(11);
  });

  it('does not claim more than noise allows: equal sides are not told apart', () => {
    const random = seededRandom(3);
    const draw = () => Array.from({ length: 40 }, () => 100 * (0.7 + 0.6 * random()));
    const { low, high } = ratioOfPairs(draw(), draw());
    expect(low).toBeLessThan(1);
    expect(high).toBeGreaterThan(1);
  });

  it('comes out the same from the same samples', () => {
    const samples = [3, 5, 4, 9, 2] as const;
    expect(ratioOfPairs(samples, [30, 40, 50, 60, 20])).toEqual(ratioOfPairs(samples, [30, 40, 50, 60, 20]));
  });
});

it('turns the order of the sides around every round', () => {
  const orders = [0, 1, 2, 3].map((round) => orderOfRound(['A', 'B'], round).join(''));
  expect(orders).toEqual(['AB', 'BA', 'AB', 'BA']);
});
