import { expect, it } from 'vitest';
import { parseProcStat } from './proc-stat.ts';

const AFTER_NAME = 'S 1 42 42 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 3 0 987654 1000 20 0';

it('reads the process whatever its name is', () => {
  expect(parseProcStat(`42 (a) S (b) ${AFTER_NAME}\n`)).toEqual({
    name: 'a) S (b',
    state: 'S',
    startTimeTicks: '987654',
    cpuMs: 3_000,
  });
});

it('takes nothing from a text that breaks off', () => {
  expect(parseProcStat('42 (part) S 1 42')).toBeNull();
  expect(parseProcStat('')).toBeNull();
});
