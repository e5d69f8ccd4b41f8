import { PAGES_PER_PACK } from './format.ts';

/** Pages that hold nothing but zeros are not stored. */
export const ZERO = -1;

/** `count` pages of a file from `page` on; they lie in pack number `pack` from `slot` on, or are zero. */
export type Run = { page: number; count: number; pack: number; slot: number };

/** Adds one page at the end, joined to the run before where both the file and the pack go on. */
export function appendPage(runs: Run[], page: number, pack: number, slot: number): void {
  const last = runs.at(-1);
  const follows = last !== undefined && last.page + last.count === page && last.pack === pack;
  if (follows && (pack === ZERO || last.slot + last.count === slot)) last.count += 1;
  else runs.push({ page, count: 1, pack, slot: pack === ZERO ? 0 : slot });
}

export function appendRun(runs: Run[], run: Run): void {
  const last = runs.at(-1);
  const follows = last !== undefined && last.page + last.count === run.page && last.pack === run.pack;
  if (follows && (run.pack === ZERO || last.slot + last.count === run.slot)) last.count += run.count;
  else runs.push({ ...run });
}

/** What a file's pages are when `above` was changed since `below`. Both sorted by page, without overlaps; so is the result. */
export function overlay(below: readonly Run[], above: readonly Run[]): Run[] {
  const merged: Run[] = [];
  let next = 0;
  let at = 0;
  for (const run of above) {
    for (; next < below.length && below[next]!.page < run.page; next += 1) {
      const under = below[next]!;
      const from = Math.max(under.page, at);
      const end = Math.min(under.page + under.count, run.page);
      if (from < end) appendRun(merged, slice(under, from, end));
      // The rest of it may show again behind this run.
      if (under.page + under.count > run.page) break;
    }
    appendRun(merged, run);
    at = run.page + run.count;
    while (next < below.length && below[next]!.page + below[next]!.count <= at) next += 1;
  }
  for (; next < below.length; next += 1) {
    const under = below[next]!;
    const from = Math.max(under.page, at);
    if (from < under.page + under.count) appendRun(merged, slice(under, from, under.page + under.count));
  }
  return merged;
}

/** The part of a run from page `from` to before page `end`. */
export function slice(run: Run, from: number, end: number): Run {
  return { page: from, count: end - from, pack: run.pack, slot: run.pack === ZERO ? 0 : run.slot + from - run.page };
}

/** Runs that end where the file does: pages behind `pages` are dropped. */
export function clip(runs: readonly Run[], pages: number): Run[] {
  return runs.filter((run) => run.page < pages).map((run) => slice(run, run.page, Math.min(run.page + run.count, pages)));
}

/** Every pack that a map needs. */
export function packsOf(runs: Iterable<Run>): Set<number> {
  const packs = new Set<number>();
  for (const { pack } of runs) if (pack !== ZERO) packs.add(pack);
  return packs;
}

/*
 * On the wire a run is four varints: pages left out before it, its count, its pack plus one (0: zero pages), and where it begins
 * in the pack, as the distance from where the run before ended. New pages are packed in the order of the file, so a page that
 * was changed alone costs four bytes.
 */
export function encodeRuns(runs: readonly Run[]): Buffer {
  const bytes: number[] = [];
  let page = 0;
  let slot = 0;
  const put = (value: number) => {
    let rest = value;
    for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
    bytes.push(rest);
  };
  for (const run of runs) {
    put(run.page - page);
    put(run.count);
    put(run.pack + 1);
    if (run.pack !== ZERO) {
      const distance = run.slot - slot;
      put(distance < 0 ? -2 * distance - 1 : 2 * distance);
      slot = run.slot + run.count;
    }
    page = run.page + run.count;
  }
  return Buffer.from(bytes);
}

/** @throws when the bytes are not runs of a file of `pages` pages in `packs` packs */
export function decodeRuns(bytes: Buffer, limits: { pages: number; packs: number }): Run[] {
  const runs: Run[] = [];
  let at = 0;
  let page = 0;
  let slot = 0;
  const take = (): number => {
    let value = 0;
    for (let factor = 1; factor <= 2 ** 42; factor *= 128) {
      const byte = bytes[at++];
      if (byte === undefined) throw new Error('a page map ends early');
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
    throw new Error('a page map holds a number that is too large');
  };
  while (at < bytes.length) {
    page += take();
    const count = take();
    const pack = take() - 1;
    if (pack !== ZERO) {
      const distance = take();
      slot += distance % 2 === 1 ? -(distance + 1) / 2 : distance / 2;
    }
    const begin = pack === ZERO ? 0 : slot;
    const outside = count < 1 || page + count > limits.pages || pack >= limits.packs;
    if (outside || begin < 0 || begin + count > PAGES_PER_PACK) throw new Error('a page map points outside of its file or pack');
    runs.push({ page, count, pack, slot: begin });
    if (pack !== ZERO) slot += count;
    page += count;
  }
  return runs;
}
