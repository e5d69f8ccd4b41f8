import { describe, expect, it } from 'vitest';
import { openBareRepository } from '../testing/bare.ts';
import { computeDiff } from './compute-diff.ts';
import { parsePatch } from './parse-patch.ts';

const { gitDir, commit } = openBareRepository();
const lines = (count: number, word = 'line') => Array.from({ length: count }, (_, at) => `${word} ${at + 1}\n`).join('');

async function diffOf(before: Parameters<typeof commit>[0], after: Parameters<typeof commit>[0]) {
  const [base, head] = [await commit(before), await commit(after)];
  return computeDiff(gitDir, base, head);
}

describe('the diff of two commits', () => {
  it('numbers lines on both sides', async () => {
    const { files } = await diffOf({ 'n.txt': lines(20) }, { 'n.txt': lines(20).replace('line 10\n', 'line ten\nand more\n') });
    expect(files).toMatchObject([
      { path: 'n.txt', oldPath: null, status: 'modified', additions: 2, deletions: 1, binary: false, oldText: lines(20) },
    ]);
    const [hunk] = files[0]!.hunks;
    expect(hunk).toMatchObject({ oldStart: 7, newStart: 7 });
    expect(hunk!.lines.filter(({ kind }) => kind !== 'context')).toEqual([
      { kind: 'del', text: 'line 10', oldLine: 10, newLine: null },
      { kind: 'add', text: 'line ten', oldLine: null, newLine: 10 },
      { kind: 'add', text: 'and more', oldLine: null, newLine: 11 },
    ]);
    expect(hunk!.lines.at(-1)).toEqual({ kind: 'context', text: 'line 13', oldLine: 13, newLine: 14 });
  });

  it('tells added, deleted, renamed and binary files apart', async () => {
    const { files } = await diffOf(
      { 'gone.txt': 'x\n', 'old name.txt': lines(30), 'picture.png': Buffer.from([0, 1, 2]) },
      {
        'gone.txt': null,
        'new.txt': 'fresh\n',
        'old name.txt': null,
        'new name.txt': `${lines(30)}more\n`,
        'picture.png': Buffer.from([0, 9]),
      },
    );
    const byPath = Object.fromEntries(files.map((file) => [file.path, file]));
    expect(byPath['gone.txt']).toMatchObject({ status: 'deleted', oldText: 'x\n', newText: null });
    expect(byPath['new.txt']).toMatchObject({ status: 'added', oldText: null, newText: 'fresh\n' });
    expect(byPath['new name.txt']).toMatchObject({
      status: 'renamed',
      oldPath: 'old name.txt',
      additions: 1,
      oldText: lines(30),
    });
    expect(byPath['picture.png']).toMatchObject({ binary: true, hunks: [], oldText: null, newText: null, truncated: false });
  });

  it.each(['ä ö/ü.txt', '-n', 'tab\there', 'quo"te', 'new\nline', '--- a', 'b/@@ -1 +1 @@'])(
    'takes a file named %j',
    async (name) => {
      const { files } = await diffOf({ [name]: 'one\n' }, { [name]: 'two\n' });
      expect(files).toMatchObject([
        { path: name, oldText: 'one\n', newText: 'two\n', hunks: [{ lines: [{ text: 'one' }, { text: 'two' }] }] },
      ]);
    },
  );

  it('is not misled by lines that look like headers', async () => {
    const tricky = 'diff --git a/x b/x\n@@ -1,2 +1,2 @@\n-- a\n++ b\n\\ No newline\n';
    const { files } = await diffOf(
      { 'tricky.txt': 'start\n', 'z.txt': 'z' },
      { 'tricky.txt': `start\n${tricky}`, 'z.txt': 'zz' },
    );
    expect(files.map(({ path, hunks }) => [path, hunks.flatMap((hunk) => hunk.lines.map(({ text }) => text))])).toEqual([
      ['tricky.txt', ['start', ...tricky.trimEnd().split('\n')]],
      ['z.txt', ['z', 'zz']],
    ]);
  });

  it('shows that a file is too large instead of its content', async () => {
    const { files } = await diffOf({ 'large.txt': '' }, { 'large.txt': lines(400_000, 'a rather long line, number') });
    expect(files).toMatchObject([{ path: 'large.txt', additions: 400_000, truncated: true, hunks: [], newText: null }]);
  });

  it('has nothing for equal commits', async () => {
    const head = await commit({});
    expect((await computeDiff(gitDir, head, head)).files).toEqual([]);
  });
});

it('a patch cut anywhere is still read without an error', async () => {
  const patch = 'diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@ f\n a\n-b\n+c\n d\n';
  for (let at = 0; at <= patch.length; at += 1) expect(Array.isArray(parsePatch(patch.slice(0, at)))).toBe(true);
});
