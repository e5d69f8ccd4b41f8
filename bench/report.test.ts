import { describe, expect, it } from 'vitest';
import { lineOf, type Report, tableOf } from './report.ts';

const report = (changes: Partial<Report> = {}): Report => ({
  fingerprint: {
    date: '2026-11-26T08:00:00.000Z',
    commit: 'abc123',
    dirty: 0,
    accelerator: 'tcg',
    qemuVersion: '7.2.22',
    kernel: '6.1',
    cpu: 'a cpu',
    cores: 2,
    memoryMiB: 24_000,
    reflink: true,
    node: 'v24',
    load: [0.1, 0.2, 0.3],
  },
  guest: { memoryMiB: 2048, inUseMiB: 1400, residentBytes: 1.4e9, zeroShare: 0.02, compressedRatio: 2.5 },
  limits: { memcpyBytesPerSecond: 8e9, firstTouchBytesPerSecond: 7e8, unixRttMs: 0.02, qemuStartMs: 150 },
  checks: [],
  broken: [],
  floorMs: 3,
  figures: { 'resume.timesFasterThanLoadvm': 41.2, 'suspend.timesFasterThanManagedsave': 3 },
  ratios: { loadvm: { ratio: 45, low: 41.2, high: 50, pairs: 8 } },
  notes: [],
  void: null,
  unavailable: { 'freeze.timesShorterThanSavevm': 'there is no checkpoint' },
  ...changes,
});

describe('the table', () => {
  const rows = tableOf(report()).split('\n');
  const row = (what: string) => rows.find((line) => line.startsWith(`| ${what}`));

  it('holds what is claimed against what must be and should be', () => {
    expect(row('resume to first guest reply, against loadvm')).toBe(
      '| resume to first guest reply, against loadvm | 41.20 | 40 | 100 | must |',
    );
    expect(row('suspend to released')).toContain('| 3.00 | 15 | 60 | missed |');
    expect(row('loadvm')).toBe('| loadvm | 45.00 | 41.20 to 50.00 | 8 |');
  });

  it('says why a figure is missing', () => {
    expect(row('freeze during a checkpoint')).toContain('not measured: there is no checkpoint');
  });

  it('holds what was achieved against what is possible', () => {
    const check = { figure: 'resume', value: 90, atLeast: 45, because: 'it has to wake' };
    expect(tableOf(report({ checks: [check] }))).toContain('| resume | 90.00 | 45.00 | 2.00 |');
  });

  it('says loudly that a run is void or a result impossible', () => {
    const figure = { figure: 'resume', value: 1, atLeast: 20, because: 'it has to wake' };
    const text = tableOf(report({ void: 'too noisy', broken: [figure] }));
    expect(text).toContain('VOID: too noisy');
    expect(text).toContain('IMPOSSIBLE: resume took 1.00, at least 20.00 is needed: it has to wake.');
  });
});

it('the JSON line holds the figures under their names, where they come from and the samples beside', () => {
  const line = JSON.parse(lineOf(report(), 'x.samples.json'));
  expect(line).toMatchObject({
    resume: { timesFasterThanLoadvm: 41.2 },
    suspend: { timesFasterThanManagedsave: 3 },
    accelerator: 'tcg',
    commit: 'abc123',
    cores: 2,
    samplesFile: 'x.samples.json',
    unavailable: { 'freeze.timesShorterThanSavevm': 'there is no checkpoint' },
  });
});
