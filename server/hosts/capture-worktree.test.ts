import { describe, expect, it } from 'vitest';
import { parseWorktree, WORKTREE_DIFF_BYTES_MAX } from './capture-worktree.ts';

const NOW = new Date('2026-01-02T03:04:05Z');

describe('parseWorktree', () => {
  it('reads the commit, the files and the diff', () => {
    expect(parseWorktree('abc\n M src/a.ts\n?? new file.txt\n\ndiff --git a b\n+x\n', NOW)).toEqual({
      headSha: 'abc',
      files: [
        { path: 'src/a.ts', status: 'M' },
        { path: 'new file.txt', status: '??' },
      ],
      diff: 'diff --git a b\n+x\n',
      truncated: false,
      capturedAt: NOW.toISOString(),
    });
  });

  it('reads a clean worktree', () => {
    expect(parseWorktree('abc\n\n', NOW)).toMatchObject({ headSha: 'abc', files: [], diff: '' });
  });

  it('cuts a diff that is too long and says so', () => {
    const worktree = parseWorktree(`abc\n\n${'x'.repeat(WORKTREE_DIFF_BYTES_MAX + 1)}`, NOW);
    expect(worktree.truncated).toBe(true);
    expect(worktree.diff).toHaveLength(WORKTREE_DIFF_BYTES_MAX);
  });
});
