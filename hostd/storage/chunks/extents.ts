import { execFile } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import { PAGE_BYTES } from './format.ts';

const run = promisify(execFile);
const OUTPUT_BYTES_MAX = 256 * 1024 * 1024;
/** With one of these the place on the device says nothing about the content. */
const UNSURE = /unwritten|unknown_loc|delalloc|encoded|inline|not_aligned|merged/;
const LINE = /^\s*\d+:\s*(\d+)\.\.\s*\d+:\s*(\d+)\.\.\s*\d+:\s*(\d+):(.*)$/;

/** Pages from `page` on; `end` is the first behind them. */
export type PageRange = { page: number; end: number };

/** Pages of a file that lie in one piece on the device; `at` is where, in pages, null when that cannot be relied on. */
export type Extent = PageRange & { at: number | null };

/**
 * Where a file's pages lie on the device, written back first; holes are left out. Null where the file system cannot say.
 * The file must not change meanwhile.
 */
export async function extentsOf(file: string): Promise<Extent[] | null> {
  const arguments_ = ['-s', '-v', '-e', `-b${PAGE_BYTES}`, '--', file];
  const output = await run('filefrag', arguments_, {
    maxBuffer: OUTPUT_BYTES_MAX,
    env: { PATH: SYSTEM_PATH, LC_ALL: 'C', NODE_ENV: 'production' },
  }).then(
    ({ stdout }) => stdout,
    () => null,
  );
  return output === null ? null : parseExtents(output);
}

const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** @returns null when the output is not a list of extents that was read to its end */
export function parseExtents(output: string): Extent[] | null {
  const extents: Extent[] = [];
  for (const line of output.split('\n')) {
    const found = LINE.exec(line);
    if (!found) continue;
    const [page, at, count] = [Number(found[1]), Number(found[2]), Number(found[3])];
    extents.push({ page, end: page + count, at: UNSURE.test(found[4]!) ? null : at });
  }
  const told = /: (\d+) extents? found/.exec(output);
  // filefrag counts pieces that follow each other on the device as one, so it may tell of fewer than it lists.
  if (!told || (extents.length === 0) !== (Number(told[1]) === 0) || extents.length < Number(told[1])) return null;
  return extents.sort((one, other) => one.page - other.page);
}

/** Pages that may differ: those that do not lie on the same place of the device in both files, and holes in one only. */
export function differingPages(file: readonly Extent[], parent: readonly Extent[]): PageRange[] {
  const edges = new Set<number>();
  for (const extent of [...file, ...parent]) edges.add(extent.page).add(extent.end);
  const sorted = [...edges].sort((one, other) => one - other);
  const ranges: PageRange[] = [];
  let mine = 0;
  let theirs = 0;
  for (let index = 0; index + 1 < sorted.length; index += 1) {
    const page = sorted[index]!;
    const end = sorted[index + 1]!;
    while (mine < file.length && file[mine]!.end <= page) mine += 1;
    while (theirs < parent.length && parent[theirs]!.end <= page) theirs += 1;
    const own = covering(file[mine], page);
    const other = covering(parent[theirs], page);
    if (!own && !other) continue;
    const shared = own && other && own.at !== null && other.at !== null && own.at - own.page === other.at - other.page;
    if (shared) continue;
    const last = ranges.at(-1);
    if (last?.end === page) last.end = end;
    else ranges.push({ page, end });
  }
  return ranges;
}

function covering(extent: Extent | undefined, page: number): Extent | null {
  return extent && extent.page <= page ? extent : null;
}

/** Which pages of a file have to be looked at. */
export type Scan = {
  ranges: PageRange[];
  /** `extents`: all others are those of the parent. `data`: all others are zero. `all`: nothing is known. */
  by: 'extents' | 'data' | 'all';
};

/** @param parent a file that `file` was cloned from, or any other: what is shared is found out, not believed */
export async function pagesToScan(file: string, parent: string | null): Promise<Scan> {
  const pages = Math.ceil((await stat(file)).size / PAGE_BYTES);
  const own = await extentsOf(file);
  if (own === null) return { ranges: pages === 0 ? [] : [{ page: 0, end: pages }], by: 'all' };
  const theirs = parent !== null && (await sameDevice(file, parent)) ? await extentsOf(parent) : null;
  const ranges = theirs === null ? joined(own) : differingPages(own, theirs);
  return { ranges: within(ranges, pages), by: theirs === null ? 'data' : 'extents' };
}

function joined(extents: readonly Extent[]): PageRange[] {
  const ranges: PageRange[] = [];
  for (const { page, end } of extents) {
    const last = ranges.at(-1);
    if (last?.end === page) last.end = end;
    else ranges.push({ page, end });
  }
  return ranges;
}

/** Blocks are allocated behind a file's end, too. */
function within(ranges: readonly PageRange[], pages: number): PageRange[] {
  return ranges.filter(({ page }) => page < pages).map(({ page, end }) => ({ page, end: Math.min(end, pages) }));
}

async function sameDevice(file: string, other: string): Promise<boolean> {
  const [one, two] = await Promise.all([stat(file), stat(other).catch(() => null)]);
  return two !== null && one.dev === two.dev;
}
