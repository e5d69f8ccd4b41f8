import { describe, expect, it } from 'vitest';
import { formatAgo, formatBytes, formatDuration, plural } from './format.ts';

const now = new Date('2026-11-24T12:00:00Z');
const ago = (ms: number) => formatAgo(new Date(now.getTime() - ms), now);

describe('format', () => {
  it.each([
    [0, 'just now'],
    [50_000, '1 min ago'],
    [59 * 60_000, '59 min ago'],
    [3 * 3_600_000, '3 h ago'],
    [2 * 86_400_000, '2 d ago'],
    [40 * 86_400_000, '2026-10-15'],
    // A clock that is behind the server's.
    [-5_000, 'just now'],
  ])('%d ms ago is %s', (ms, text) => {
    expect(ago(ms)).toBe(text);
  });

  it.each([
    [812.4, '812 ms'],
    [5_000, '5 s'],
    [14_320, '14.3 s'],
    [125_000, '2 min 5 s'],
    [3_840_000, '1 h 4 min'],
    [120_000, '2 min'],
    [3_600_000, '1 h'],
  ])('%d ms take %s', (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });

  it.each([
    [0, '0 B'],
    [1_833, '1.8 kB'],
    [431_000_000, '431 MB'],
  ])('%d bytes are %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });

  it('counts one and many', () => {
    expect(plural(1, 'process', 'processes')).toBe('1 process');
    expect(plural(1_200, 'file')).toBe('1,200 files');
    expect(plural(null, 'file')).toBe('an unknown number of files');
  });
});
