import { describe, expect, it } from 'vitest';
import { brokenLimits, checksOf, type Facts, isAtFloor, isQuiet } from './limits.ts';

const GIB = 1024 ** 3;
const facts = (changes: Partial<Facts> = {}): Facts => ({
  limits: { memcpyBytesPerSecond: 8 * GIB, firstTouchBytesPerSecond: GIB, unixRttMs: 0.015, qemuStartMs: 150 },
  residentBytes: GIB,
  awakeReplyMs: 40,
  resumeMs: 90,
  loadvmMs: 4_000,
  coldBootMs: 20_000,
  suspendMs: 30,
  savevmMs: 3_000,
  ...changes,
});
const broken = (changes: Partial<Facts>) => brokenLimits(checksOf(facts(changes))).map(({ figure }) => figure);

describe('physical limits', () => {
  it('let possible results pass', () => expect(broken({})).toEqual([]));

  it.each([
    ['a woken guest that answers sooner than a waking one', { resumeMs: 39 }, 'resume'],
    ['memory that is there before it could be copied', { loadvmMs: 60 }, 'loadvm'],
    ['memory that is saved before it could be read', { savevmMs: 60 }, 'savevm'],
    ['a boot that is over before QEMU is there', { coldBootMs: 149 }, 'cold boot'],
    ['a suspend without a word to QEMU', { suspendMs: 0.01 }, 'suspend'],
  ])('refuse %s', (_what, changes, figure) => expect(broken(changes)).toEqual([figure]));

  it('refuse what is no number', () => expect(broken({ resumeMs: Number.NaN })).toEqual(['resume']));

  it('say nothing of what was not measured', () => {
    expect(checksOf(facts({ loadvmMs: null, savevmMs: null })).map(({ figure }) => figure)).toEqual([
      'resume',
      'cold boot',
      'suspend',
    ]);
  });
});

describe('noise', () => {
  it.each([
    [1, true],
    [1.04, true],
    [0.96, true],
    [1.051, false],
    [0.9, false],
    [Number.NaN, false],
  ])('a side %d times as slow as itself is quiet: %s', (ratio, quiet) => expect(isQuiet({ ratio })).toBe(quiet));

  it('calls a result within twice the floor at the floor', () => {
    expect(isAtFloor(19, 10)).toBe(true);
    expect(isAtFloor(20, 10)).toBe(false);
  });
});
