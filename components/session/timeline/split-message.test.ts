import { describe, expect, it } from 'vitest';
import { reviewMessage } from '../../../server/changes/review-message.ts';
import { failureMessage } from '../../../server/checks/failure-message.ts';
import { splitMessage } from './split-message.ts';

describe('splitMessage', () => {
  it('leaves what a person wrote as it is', () => {
    expect(splitMessage('message', '> quoted\nby a person')).toEqual({
      summary: '> quoted\nby a person',
      quoted: null,
      whole: null,
    });
  });

  it('shows a reviewer’s words and where they belong', () => {
    const text = reviewMessage({
      authorName: 'Ada',
      body: 'First line.\nSecond line.',
      path: 'src/cart.ts',
      line: 12,
      lineText: 'return 0;',
      around: '',
      now: { path: 'src/cart.ts', line: 12 },
      earlier: [],
    });
    expect(splitMessage('review_comment', text)).toEqual({
      summary: 'On src/cart.ts, line 12',
      quoted: 'First line.\nSecond line.',
      whole: text,
    });
  });

  it('shows of a failed check which one it was', () => {
    const text = failureMessage('0123456789abcdef', [{ name: 'types', command: 'tsc', exitCode: 2, log: '> tsc\nerror' }]);
    expect(splitMessage('check_failed', text)).toEqual({
      summary: 'Check failed for commit 0123456789ab: types',
      quoted: null,
      whole: text,
    });
  });
});
