export const PAGE_BYTES = 4096;
/** Bytes per page in `/proc/PID/pagemap`. */
export const ENTRY_BYTES = 8;

/** Of the upper half of an entry (Documentation/admin-guide/mm/pagemap.rst). */
const PRESENT = 0x8000_0000;
const SWAPPED = 0x4000_0000;
const OF_FILE = 0x2000_0000;

export type Run = { page: number; count: number };

/**
 * The pages of a private file mapping that were written to: the kernel has given them memory of their own, which is present
 * and no longer the file's, or swapped out. A page that only moves at this moment looks swapped; that costs a copy and no more.
 */
export function changedRuns(entries: Buffer): Run[] {
  const words = new Uint32Array(entries.buffer, entries.byteOffset, entries.byteLength / 4);
  const runs: Run[] = [];
  let open: Run | null = null;
  for (let page = 0; page < words.length / 2; page += 1) {
    const flags = words[2 * page + 1]!;
    const isChanged = (flags & PRESENT) !== 0 ? (flags & OF_FILE) === 0 : (flags & SWAPPED) !== 0;
    if (!isChanged) open = null;
    else if (open) open.count += 1;
    else {
      open = { page, count: 1 };
      runs.push(open);
    }
  }
  return runs;
}
