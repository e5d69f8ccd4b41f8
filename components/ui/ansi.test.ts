import { describe, expect, it } from 'vitest';
import { stripAnsi } from './ansi.ts';

describe('stripAnsi', () => {
  it('drops colours, titles and cursor moves', () => {
    expect(stripAnsi('\x1b[1;31mred\x1b[0m \x1b]0;title\x07plain\x1b[2K')).toBe('red plain');
  });

  it('shows of a progress line only what stayed', () => {
    expect(stripAnsi('10%\r50%\r100%\ndone\r\n')).toBe('100%\ndone\n');
  });
});
