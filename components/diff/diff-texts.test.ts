import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { diffTexts } from './diff-texts.ts';

const kinds = (oldText: string | null, newText: string) =>
  diffTexts(oldText, newText).flatMap(({ lines }) =>
    lines.map(({ kind, text }) => `${{ context: ' ', add: '+', del: '-' }[kind]}${text}`),
  );

describe('diffTexts', () => {
  it('is empty for equal texts', () => {
    expect(diffTexts('a\nb\n', 'a\nb\n')).toEqual([]);
  });

  it('shows a new file as added', () => {
    expect(kinds(null, 'a\nb\n')).toEqual(['+a', '+b']);
  });

  it('shows a changed line between those that stayed', () => {
    expect(kinds('a\nb\nc\n', 'a\nB\nc\n')).toEqual([' a', '-b', '+B', ' c']);
  });

  it('leaves out what is far from a change and starts a new hunk', () => {
    const before = Array.from({ length: 30 }, (_, index) => `line ${index + 1}`);
    const after = before.with(1, 'changed').with(25, 'changed too');
    const hunks = diffTexts(before.join('\n'), after.join('\n'));
    expect(hunks.map(({ oldStart, lines }) => [oldStart, lines.length])).toEqual([
      [1, 6],
      [23, 8],
    ]);
  });

  it('always gives the new text when its removed lines are dropped, and the old one when its added ones are', () => {
    const text = fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 6 });
    fc.assert(
      fc.property(text, text, (before, after) => {
        const lines = diffTexts(before.join('\n'), after.join('\n')).flatMap((hunk) => hunk.lines);
        fc.pre(lines.length > 0);
        for (const line of lines) {
          if (line.newLine !== null) expect(after[line.newLine - 1] ?? '').toBe(line.text);
          if (line.oldLine !== null) expect(before[line.oldLine - 1] ?? '').toBe(line.text);
        }
        const shownOld = lines.filter(({ kind }) => kind === 'del').length;
        const shownNew = lines.filter(({ kind }) => kind === 'add').length;
        expect(before.length - shownOld).toBe(after.length - shownNew);
      }),
    );
  });
});
