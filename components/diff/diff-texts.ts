import type { DiffHunk, DiffLine } from './types.ts';

const CONTEXT_LINES = 3;
/** Beyond this many comparisons the changed part is shown as replaced whole. */
const CELLS_MAX = 2_000_000;

/** The lines that differ between two texts, with three around them. Null as the old text means a new file. */
export function diffTexts(oldText: string | null, newText: string): DiffHunk[] {
  const before = oldText === null ? [] : splitLines(oldText);
  const after = splitLines(newText);
  let start = 0;
  while (start < before.length && start < after.length && before[start] === after[start]) start += 1;
  let tail = 0;
  while (tail < before.length - start && tail < after.length - start && before.at(-1 - tail) === after.at(-1 - tail)) tail += 1;

  const middle = compare(before.slice(start, before.length - tail), after.slice(start, after.length - tail));
  const lines = number([
    ...before.slice(0, start).map((text) => ({ kind: 'context' as const, text })),
    ...middle,
    ...before.slice(before.length - tail).map((text) => ({ kind: 'context' as const, text })),
  ]);
  return cut(lines);
}

function splitLines(text: string): string[] {
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines;
}

type Bare = Pick<DiffLine, 'kind' | 'text'>;

/** Longest common subsequence. */
function compare(before: string[], after: string[]): Bare[] {
  const del = (text: string): Bare => ({ kind: 'del', text });
  const add = (text: string): Bare => ({ kind: 'add', text });
  if (before.length * after.length > CELLS_MAX) return [...before.map(del), ...after.map(add)];
  const width = after.length + 1;
  const longest = new Uint32Array((before.length + 1) * width);
  for (let i = before.length - 1; i >= 0; i -= 1) {
    for (let j = after.length - 1; j >= 0; j -= 1) {
      longest[i * width + j] =
        before[i] === after[j]
          ? longest[(i + 1) * width + j + 1]! + 1
          : Math.max(longest[(i + 1) * width + j]!, longest[i * width + j + 1]!);
    }
  }
  const lines: Bare[] = [];
  let i = 0;
  let j = 0;
  while (i < before.length && j < after.length) {
    if (before[i] === after[j]) {
      lines.push({ kind: 'context', text: before[i]! });
      i += 1;
      j += 1;
    } else if (longest[(i + 1) * width + j]! >= longest[i * width + j + 1]!) lines.push(del(before[i++]!));
    else lines.push(add(after[j++]!));
  }
  return [...lines, ...before.slice(i).map(del), ...after.slice(j).map(add)];
}

function number(lines: Bare[]): DiffLine[] {
  let oldLine = 1;
  let newLine = 1;
  return lines.map(({ kind, text }) => ({
    kind,
    text,
    oldLine: kind === 'add' ? null : oldLine++,
    newLine: kind === 'del' ? null : newLine++,
  }));
}

function cut(lines: DiffLine[]): DiffHunk[] {
  const hunks: DiffHunk[] = [];
  let keptUntil = 0;
  for (const [index, line] of lines.entries()) {
    if (line.kind === 'context') continue;
    const from = Math.max(keptUntil, index - CONTEXT_LINES);
    const until = Math.min(lines.length, index + CONTEXT_LINES + 1);
    const last = hunks.at(-1);
    const added = lines.slice(from, until);
    if (last && from === keptUntil) last.lines.push(...added);
    else if (added.length > 0) hunks.push({ oldStart: added[0]!.oldLine ?? 0, newStart: added[0]!.newLine ?? 0, lines: added });
    keptUntil = Math.max(keptUntil, until);
  }
  return hunks;
}
