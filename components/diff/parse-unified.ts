import type { DiffHunk, FileDiff } from './types.ts';

const HUNK = /^@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@/;
const GIT_HEADER = /^diff --git a\/(.*) b\/(.*)$/;

/** Reads what `git diff` printed. One cut off in the middle shows as far as it goes. */
export function parseUnified(text: string): FileDiff[] {
  const files: FileDiff[] = [];
  let hunk: DiffHunk | null = null;
  let oldLine = 0;
  let newLine = 0;
  for (const line of text.split('\n')) {
    const header = GIT_HEADER.exec(line);
    if (header) {
      files.push(startFile(header[1]!, header[2]!));
      hunk = null;
      continue;
    }
    const file = files.at(-1);
    if (!file) continue;
    const at = HUNK.exec(line);
    if (at) {
      oldLine = Number(at[1]);
      newLine = Number(at[2]);
      hunk = { oldStart: oldLine, newStart: newLine, lines: [] };
      file.hunks.push(hunk);
    } else if (!hunk) {
      readFileHeader(file, line);
    } else if (line.startsWith('+')) {
      hunk.lines.push({ kind: 'add', text: line.slice(1), oldLine: null, newLine: newLine++ });
      file.additions += 1;
    } else if (line.startsWith('-')) {
      hunk.lines.push({ kind: 'del', text: line.slice(1), oldLine: oldLine++, newLine: null });
      file.deletions += 1;
    } else if (line.startsWith(' ')) {
      hunk.lines.push({ kind: 'context', text: line.slice(1), oldLine: oldLine++, newLine: newLine++ });
    }
  }
  return files;
}

function startFile(oldPath: string, path: string): FileDiff {
  const renamed = oldPath !== path;
  return {
    path,
    oldPath: renamed ? oldPath : null,
    status: renamed ? 'renamed' : 'modified',
    additions: 0,
    deletions: 0,
    binary: false,
    truncated: false,
    hunks: [],
  };
}

function readFileHeader(file: FileDiff, line: string): void {
  if (line.startsWith('new file')) file.status = 'added';
  else if (line.startsWith('deleted file')) file.status = 'deleted';
  else if (line.startsWith('Binary files')) file.binary = true;
}
