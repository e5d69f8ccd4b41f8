import { git } from '../forge/git.ts';
import { parseNameStatus } from './compute-diff.ts';

export type Place = { path: string; line: number };
/** A run of old lines replaced by new ones; `oldCount` 0 inserts after `oldStart`. */
export type Replaced = { oldStart: number; oldCount: number; newCount: number };

/** Where a line is in a newer commit, or null when it was changed or removed since. */
export async function mapLine(gitDir: string, fromSha: string, toSha: string, place: Place): Promise<Place | null> {
  if (fromSha === toSha) return place;
  const tree = ['diff-tree', '-r', '--find-renames', '--no-color', '--no-ext-diff', '--no-textconv'];
  const names = parseNameStatus(await git([...tree, '-z', '--name-status', '--end-of-options', fromSha, toSha], { gitDir }));
  const entry = names.find(({ path, oldPath }) => (oldPath ?? path) === place.path);
  if (!entry) return place;
  if (entry.status === 'deleted') return null;
  const objects = [`${fromSha}:${place.path}`, `${toSha}:${entry.path}`];
  const patch = await git(
    ['diff', '--no-color', '--no-ext-diff', '--no-textconv', '--unified=0', '--end-of-options', ...objects],
    { gitDir },
  );
  const line = shiftLine(place.line, parseReplaced(patch));
  return line === null ? null : { path: entry.path, line };
}

export function parseReplaced(patch: string): Replaced[] {
  const headers = patch.matchAll(/^@@ -(\d+)(?:,(\d+))? \+\d+(?:,(\d+))? @@/gm);
  return [...headers].map((header) => ({
    oldStart: Number(header[1]),
    oldCount: Number(header[2] ?? 1),
    newCount: Number(header[3] ?? 1),
  }));
}

/** The line's new number, or null when it is among the replaced ones. */
export function shiftLine(line: number, replaced: readonly Replaced[]): number | null {
  let shift = 0;
  for (const { oldStart, oldCount, newCount } of replaced) {
    const before = oldCount === 0 ? oldStart >= line : oldStart > line;
    if (before) break;
    if (oldCount > 0 && line < oldStart + oldCount) return null;
    shift += newCount - oldCount;
  }
  return line + shift;
}
