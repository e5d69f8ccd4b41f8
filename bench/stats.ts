/* Statistics of paired measurements. Pure; randomness comes from a seed, so that a result can be computed again from its samples. */

const RESAMPLES = 2_000;
const INTERVAL = 0.95;

export type Ratio = {
  /** Median of the peer over the median of the subject: how many times more the peer takes. */
  ratio: number;
  low: number;
  high: number;
  pairs: number;
};

export type Summary = { n: number; p50: number; p95: number; min: number; max: number };

/** @param share from 0 to 1; nearest rank, so the result is one of the samples @throws when there are none */
export function quantile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const found = sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))];
  if (found === undefined) throw new Error('there are no samples');
  return found;
}

/** Mean of the two middle samples where there is no middle one. @throws when there are none */
export function median(samples: readonly number[]): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)];
  const lower = sorted[Math.floor((sorted.length - 1) / 2)];
  if (upper === undefined || lower === undefined) throw new Error('there are no samples');
  return (upper + lower) / 2;
}

export function summarize(samples: readonly number[]): Summary {
  return {
    n: samples.length,
    p50: median(samples),
    p95: quantile(samples, 0.95),
    min: Math.min(...samples),
    max: Math.max(...samples),
  };
}

/** A small generator with a period far beyond what a run draws. @returns numbers in [0, 1) */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Ratio of the medians of paired samples with a bootstrap interval. Pairs are resampled whole: what made one round slow made it
 * slow for both. Only the lower bound is ever claimed.
 *
 * @throws when the sides have different numbers of samples, or none
 */
export function ratioOfPairs(subject: readonly number[], peer: readonly number[], seed = 1): Ratio {
  if (subject.length !== peer.length) throw new Error(`${subject.length} samples cannot be paired with ${peer.length}`);
  const random = seededRandom(seed);
  const ratios = Array.from({ length: RESAMPLES }, () => {
    const drawn = subject.map(() => Math.floor(random() * subject.length));
    return median(drawn.map((at) => peer[at]!)) / median(drawn.map((at) => subject[at]!));
  });
  const tail = (1 - INTERVAL) / 2;
  return {
    ratio: median(peer) / median(subject),
    low: quantile(ratios, tail),
    high: quantile(ratios, 1 - tail),
    pairs: subject.length,
  };
}

/** The sides in the order they take in a round: forwards and backwards in turn, so that a drift of the machine favours nobody. */
export function orderOfRound<T>(sides: readonly T[], round: number): T[] {
  return round % 2 === 0 ? [...sides] : [...sides].reverse();
}
