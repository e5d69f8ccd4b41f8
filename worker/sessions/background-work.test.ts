import { describe, expect, it } from 'vitest';
import { compareLooks, describeStay, type Look } from './background-work.ts';

const look = (set: Partial<Look>): Look => ({ machineId: 'mch_a', atMs: 0, cpuMs: 0, egressBytes: 0, ...set });

describe('compareLooks', () => {
  it('gives rates', () => {
    const before = look({ atMs: 1000, cpuMs: 5000, egressBytes: 100 });
    expect(compareLooks(before, look({ atMs: 3000, cpuMs: 6000, egressBytes: 4100 }))).toEqual({
      cpuShare: 0.5,
      egressBytesPerSecond: 2000,
    });
  });

  it.each([
    ['there was none before', null],
    ['the machine is another', look({ machineId: 'mch_b' })],
    ['both are of one moment', look({ atMs: 1000 })],
    ['the process was started since', look({ cpuMs: 20 })],
    ['hostd was started since', look({ egressBytes: 20 })],
  ])('says nothing when %s', (_, before) => {
    expect(compareLooks(before, look({ atMs: 1000, cpuMs: 10, egressBytes: 10 }))).toBeNull();
  });
});

describe('describeStay', () => {
  it('names what keeps a machine awake, and only that', () => {
    const background = { cpuShare: 0.954, egressBytesPerSecond: 12_345 };
    expect(describeStay({ kind: 'stay', reason: 'cpu', checkAgainInMs: 1 }, background)).toContain('95 % of a core');
    expect(describeStay({ kind: 'stay', reason: 'download', checkAgainInMs: 1 }, background)).toContain('12 kB a second');
    expect(describeStay({ kind: 'stay', reason: 'terminal', checkAgainInMs: 1 }, background)).toBeNull();
    expect(describeStay({ kind: 'suspend', reason: 'idle' }, background)).toBeNull();
  });
});
