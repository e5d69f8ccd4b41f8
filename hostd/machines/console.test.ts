import { describe, expect, it } from 'vitest';
import { plainText } from './console.ts';

describe('the console’s text', () => {
  it('keeps lines, tabs and letters of any script, and no control characters', () => {
    expect(plainText('a\r\nb\tü \u001b]0;title\u0007\u001b[2J\u009b31m\u0000')).toBe('a\nb\tü ]0;title[2J31m');
  });
});
