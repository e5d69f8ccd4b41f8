import { git } from '../forge/git.ts';
import { parseNameStatus } from './compute-diff.ts';

export type Place = { path: string; line: number };
/** A run of old lines replaced by new ones; `oldCount` 0 inserts after `oldStart`. */
export type Replaced = { oldStart: number; oldCount: number; newCount: number };

const DIFF_OPTIONS = ['--no-color', '--no-ext-diff', '--no-textconv'];

/** Finds where lines of older commits are at `toSha`; a line that was changed or removed since is null. Asks git once per commit and file. */
export function createLineMapper(gitDir: string, toSha: string): (place: Place & { commitSha: string }) => Promise<Place | null> {
  const renames = remember(async (fromSha: string) => {
    const args = [
      'diff-tree',
      '-r',
      '--find-renames',
      '-z',
      '--name-status',
      ...DIFF_OPTIONS,
      '--end-of-options',
      fromSha,
      toSha,
    ];
    return parseNameStatus(await git(args, { gitDir }));
  });
  const edits = remember(async (objects: string) => {
    const args = ['diff', '--unified=0', ...DIFF_OPTIONS, '--end-of-options', ...objects.split('\0')];
    return parseReplaced(await git(args, { gitDir }));
  });
  return async ({ path, line, commitSha }) => {
    if (commitSha === toSha) return { path, line };
    const entry = (await renames(commitSha)).find((one) => (one.oldPath ?? one.path) === path);
    if (!entry) return { path, line };
    if (entry.status === 'deleted') return null;
    const shifted = shiftLine(line, await edits(`${commitSha}:${path}\0${toSha}:${entry.path}`));
    return shifted === null ? null : { path: entry.path, line: shifted };
  };
}

function remember<T>(fn: (key: string) => Promise<T>): (key: string) => Promise<T> {
  const known = new Map<string, Promise<T>>();
  return (key) => {
    const found = known.get(key) ?? fn(key);
    known.set(key, found);
    return found;
  };
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
