import { git, tryGit } from '../forge/git.ts';
import { isBranchName, isObjectName, isTreePath } from '../forge/refs.ts';

/*
 * Reading a bare repository. Callers hand in branch names, commits and paths as people typed them; whatever is not plainly
 * one of these is answered with null, exactly like something that is not there.
 */
export type CommitInfo = { sha: string; subject: string; authorName: string; at: string };
export type TreeEntry = {
  name: string;
  path: string;
  kind: 'directory' | 'file' | 'symlink' | 'submodule';
  bytes: number | null;
};
export type FileContent = { path: string; bytes: number; binary: boolean; text: string; truncated: boolean };

const TREE_ENTRIES_MAX = 2_000;
export const FILE_TEXT_BYTES_MAX = 1024 * 1024;

/** The commit a branch or commit name stands for, or null. */
export async function findCommit(gitDir: string, ref: string): Promise<string | null> {
  if (!isObjectName(ref) && !isBranchName(ref)) return null;
  const name = isObjectName(ref) ? ref : `refs/heads/${ref}`;
  const result = await tryGit(['rev-parse', '--verify', '--quiet', '--end-of-options', `${name}^{commit}`], { gitDir });
  const sha = result.stdout.toString().trim();
  return result.exitCode === 0 && isObjectName(sha) ? sha : null;
}

/** Subject, author and time of a commit. @throws GitError when it does not exist */
export async function commitInfo(gitDir: string, sha: string): Promise<CommitInfo> {
  const text = await git(
    ['show', '--no-patch', '--no-show-signature', '--format=%H%x00%s%x00%an%x00%cI', '--end-of-options', sha],
    { gitDir },
  );
  const [hash = '', subject = '', authorName = '', at = ''] = text.trimEnd().split('\0');
  return { sha: hash, subject: subject.slice(0, 300), authorName: authorName.slice(0, 100), at };
}

/** One directory of a commit, directories first; null when it is not there. */
export async function listTree(gitDir: string, sha: string, path: string): Promise<TreeEntry[] | null> {
  if (!isTreePath(path)) return null;
  const result = await tryGit(['ls-tree', '-z', '--long', '--end-of-options', path === '' ? sha : `${sha}:${path}`], { gitDir });
  if (result.exitCode !== 0) return null;
  const entries = result.stdout
    .toString('utf8')
    .split('\0')
    .filter(Boolean)
    .slice(0, TREE_ENTRIES_MAX)
    .map((line) => parseTreeLine(line, path));
  return entries.sort((a, b) => Number(b.kind === 'directory') - Number(a.kind === 'directory') || a.name.localeCompare(b.name));
}

function parseTreeLine(line: string, parent: string): TreeEntry {
  const [meta = '', name = ''] = splitOnce(line, '\t');
  const [mode, , , size] = meta.split(/\s+/);
  const kind = mode === '040000' ? 'directory' : mode === '120000' ? 'symlink' : mode === '160000' ? 'submodule' : 'file';
  return { name, path: parent === '' ? name : `${parent}/${name}`, kind, bytes: kind === 'file' ? Number(size) : null };
}

/** A file of a commit; null when there is no such file. Text beyond FILE_TEXT_BYTES_MAX is cut, binary files have none. */
export async function readFileAt(gitDir: string, sha: string, path: string): Promise<FileContent | null> {
  if (path === '' || !isTreePath(path)) return null;
  const object = `${sha}:${path}`;
  const size = await tryGit(['cat-file', '-s', object], { gitDir });
  const type = size.exitCode === 0 ? (await git(['cat-file', '-t', object], { gitDir })).trim() : null;
  if (type !== 'blob') return null;
  const bytes = Number(size.stdout.toString());
  // Larger ones are not read at all: cutting them would still mean loading them.
  if (bytes > 8 * FILE_TEXT_BYTES_MAX) return { path, bytes, binary: true, text: '', truncated: true };
  const content = (await tryGit(['cat-file', 'blob', object], { gitDir })).stdout;
  const binary = isBinary(content);
  const text = binary ? '' : content.subarray(0, FILE_TEXT_BYTES_MAX).toString('utf8');
  return { path, bytes, binary, text, truncated: !binary && bytes > FILE_TEXT_BYTES_MAX };
}

/** git's own rule: a NUL among the first 8000 bytes. */
export function isBinary(content: Buffer): boolean {
  return content.subarray(0, 8000).includes(0);
}

function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at === -1 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}
