import { describe, expect, it } from 'vitest';
import { cgroupLimits, runLimits } from './limits.ts';

const MIB = 1024 * 1024;
const SIZE = { memoryMiB: 2048, vcpus: 2, diskBytes: 8192 * MIB, accelerator: 'kvm' } as const;

describe('a machine’s limits', () => {
  it('let no file grow beyond its disk or memory, whichever is larger', () => {
    expect(runLimits(SIZE).fileBytes).toBe((8192 + 64) * MIB);
    expect(runLimits({ ...SIZE, memoryMiB: 16_384 }).fileBytes).toBe((16_384 + 64) * MIB);
  });

  it('hold its memory and what QEMU needs, more of it under emulation, and no swap', () => {
    expect(cgroupLimits(SIZE, null)).toEqual({
      'memory.max': String((2048 + 384) * MIB),
      'memory.swap.max': '0',
      'memory.oom.group': '1',
      'cpu.max': '250000 100000',
      'pids.max': '98',
    });
    expect(cgroupLimits({ ...SIZE, accelerator: 'tcg' }, null)['memory.max']).toBe(String((2048 + 384 + 1024) * MIB));
  });

  it('allow one user’s processes and one cgroup’s the same number', () => {
    expect(cgroupLimits(SIZE, null)['pids.max']).toBe(String(runLimits(SIZE).processes));
  });

  it('bound reading and writing on the disk of the data directory', () => {
    expect(cgroupLimits(SIZE, { device: '7:8', bytesPerSecond: 1000 })['io.max']).toBe('7:8 rbps=1000 wbps=1000');
  });
});
