import { GitError, git } from '../forge/git.ts';
import { FILE_TEXT_BYTES_MAX, readFileAt } from '../repositories/bare-repository.ts';
import { type DiffHunk, parsePatch } from './parse-patch.ts';

export type DiffFile = {
  path: string;
  /** Its path before, when it was renamed. */
  oldPath: string | null;
  status: 'added' | 'modified' | 'deleted' | 'renamed';
  additions: number;
  deletions: number;
  binary: boolean;
  /** Whole contents on both sides; null where there is none, it is binary, or beyond the caps. */
  oldText: string | null;
  newText: string | null;
  hunks: DiffHunk[];
  /** Too large to be shown: no hunks and no texts. */
  truncated: boolean;
};

export type Diff = { files: DiffFile[]; baseSha: string; headSha: string; moreFiles: number };

const FILES_MAX = 300;
const PATCH_BYTES_MAX = 4 * 1024 * 1024;
const TEXTS_BYTES_MAX = 6 * 1024 * 1024;
const DIFF_TREE = ['diff-tree', '-r', '--find-renames', '--no-color', '--no-ext-diff', '--no-textconv'] as const;

/** What changed between two commits. @throws GitError when either does not exist */
export async function computeDiff(gitDir: string, baseSha: string, headSha: string): Promise<Diff> {
  const all = await listChanged(gitDir, baseSha, headSha);
  const listed = all.slice(0, FILES_MAX);
  const patches = await readPatches(gitDir, baseSha, headSha);
  let textBytesLeft = TEXTS_BYTES_MAX;
  const files: DiffFile[] = [];
  for (const [index, entry] of listed.entries()) {
    const texts = entry.binary || textBytesLeft <= 0 ? null : await readTexts(gitDir, { baseSha, headSha }, entry);
    textBytesLeft -= (texts?.oldText?.length ?? 0) + (texts?.newText?.length ?? 0);
    const hunks = patches?.[index] ?? [];
    files.push({
      ...entry,
      oldText: texts?.oldText ?? null,
      newText: texts?.newText ?? null,
      hunks,
      truncated: patches === null && !entry.binary,
    });
  }
  return { files, baseSha, headSha, moreFiles: all.length - listed.length };
}

type Entry = Pick<DiffFile, 'path' | 'oldPath' | 'status' | 'additions' | 'deletions' | 'binary'>;

async function listChanged(gitDir: string, baseSha: string, headSha: string): Promise<Entry[]> {
  const range = ['--end-of-options', baseSha, headSha];
  const [names, counts] = await Promise.all([
    git([...DIFF_TREE, '-z', '--name-status', ...range], { gitDir }),
    git([...DIFF_TREE, '-z', '--numstat', ...range], { gitDir }),
  ]);
  const numbers = parseNumstat(counts);
  return parseNameStatus(names).map((entry) => ({
    ...entry,
    ...(numbers.get(entry.path) ?? { additions: 0, deletions: 0, binary: false }),
  }));
}

/** `M\0path\0`, and for renames `R087\0old\0new\0`. */
export function parseNameStatus(output: string): Pick<Entry, 'path' | 'oldPath' | 'status'>[] {
  const fields = output.split('\0');
  const entries: Pick<Entry, 'path' | 'oldPath' | 'status'>[] = [];
  for (let at = 0; at + 1 < fields.length; ) {
    const code = fields[at] ?? '';
    const first = fields[at + 1] ?? '';
    if (code.startsWith('R') || code.startsWith('C')) {
      entries.push({ path: fields[at + 2] ?? '', oldPath: first, status: 'renamed' });
      at += 3;
    } else {
      entries.push({ path: first, oldPath: null, status: code === 'A' ? 'added' : code === 'D' ? 'deleted' : 'modified' });
      at += 2;
    }
  }
  return entries;
}

/** `3\t1\tpath\0`, `-` for binary files, and for renames `3\t1\t\0old\0new\0`. */
export function parseNumstat(output: string): Map<string, Pick<Entry, 'additions' | 'deletions' | 'binary'>> {
  const fields = output.split('\0');
  const numbers = new Map<string, Pick<Entry, 'additions' | 'deletions' | 'binary'>>();
  for (let at = 0; at < fields.length; at += 1) {
    const match = /^(\d+|-)\t(\d+|-)\t([\s\S]*)$/.exec(fields[at] ?? '');
    if (!match) continue;
    const renamed = match[3] === '';
    const path = renamed ? (fields[at + 2] ?? '') : (match[3] ?? '');
    if (renamed) at += 2;
    numbers.set(path, { additions: Number(match[1]) || 0, deletions: Number(match[2]) || 0, binary: match[1] === '-' });
  }
  return numbers;
}

/** Null when the whole patch is too large to be shown. */
async function readPatches(gitDir: string, baseSha: string, headSha: string): Promise<DiffHunk[][] | null> {
  try {
    const patch = await git([...DIFF_TREE, '--patch', '--unified=3', '--end-of-options', baseSha, headSha], {
      gitDir,
      outputBytesMax: PATCH_BYTES_MAX,
    });
    return parsePatch(patch);
  } catch (error) {
    if (error instanceof GitError && error.exitCode === null) return null;
    throw error;
  }
}

async function readTexts(gitDir: string, { baseSha, headSha }: { baseSha: string; headSha: string }, entry: Entry) {
  const read = async (sha: string, path: string) => {
    const file = await readFileAt(gitDir, sha, path);
    return file && !file.binary && file.bytes <= FILE_TEXT_BYTES_MAX ? file.text : null;
  };
  return {
    oldText: entry.status === 'added' ? null : await read(baseSha, entry.oldPath ?? entry.path),
    newText: entry.status === 'deleted' ? null : await read(headSha, entry.path),
  };
}
