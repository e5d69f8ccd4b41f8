export type DiffLine = { kind: 'context' | 'add' | 'del'; text: string; oldLine: number | null; newLine: number | null };
export type DiffHunk = { oldStart: number; newStart: number; lines: DiffLine[] };

const HUNK = /^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@/;

/**
 * The hunks of each file in what `git diff --patch` printed, in its order. Lines are counted by the hunk's header, so a
 * changed line that looks like a header is only a line.
 */
export function parsePatch(patch: string): DiffHunk[][] {
  const files: DiffHunk[][] = [];
  const lines = patch.split('\n');
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at] ?? '';
    if (line.startsWith('diff --git ')) files.push([]);
    const header = HUNK.exec(line);
    if (!header) continue;
    const { hunk, next } = readHunk(lines, at + 1, header);
    files.at(-1)?.push(hunk);
    at = next - 1;
  }
  return files;
}

function readHunk(lines: readonly string[], start: number, header: RegExpExecArray): { hunk: DiffHunk; next: number } {
  let oldLine = Number(header[1]);
  let newLine = Number(header[3]);
  const hunk: DiffHunk = { oldStart: oldLine, newStart: newLine, lines: [] };
  let oldLeft = Number(header[2] ?? 1);
  let newLeft = Number(header[4] ?? 1);
  let at = start;
  for (; at < lines.length && (oldLeft > 0 || newLeft > 0); at += 1) {
    const line = lines[at] ?? '';
    const text = line.slice(1);
    if (line.startsWith('+')) {
      hunk.lines.push({ kind: 'add', text, oldLine: null, newLine: newLine++ });
      newLeft -= 1;
    } else if (line.startsWith('-')) {
      hunk.lines.push({ kind: 'del', text, oldLine: oldLine++, newLine: null });
      oldLeft -= 1;
    } else if (line.startsWith(' ')) {
      hunk.lines.push({ kind: 'context', text, oldLine: oldLine++, newLine: newLine++ });
      oldLeft -= 1;
      newLeft -= 1;
    }
    // What is left starts with a backslash: `\ No newline at end of file`.
  }
  return { hunk, next: at };
}
