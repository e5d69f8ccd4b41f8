import type { Accelerator } from '../contract/machines.ts';

/* What one machine may take of the host, from its size alone. */
const MIB = 1024 * 1024;
/** QEMU's own memory beside the guest's: heap, stacks, device state. 120 MiB were seen; the rest is room for the page cache. */
const OVERHEAD_MIB = 384;
/** Emulation keeps translated code, up to an eighth of the host's memory and at most 1 GiB (QEMU's tb-size). */
const TRANSLATION_MIB = 1024;
/** QEMU starts up to 64 threads for disk requests, one per CPU and a handful of others. */
const THREADS = 96;
/** Sockets, disk, memory, log and event descriptors: under 40 were seen. */
const OPEN_FILES = 256;
/** Device state, log. */
const FILE_SLACK_BYTES = 64 * MIB;
/** Of one CPU, for QEMU's main loop and disk threads beside the guest's CPUs. */
const CPU_EXTRA = 0.5;
const CPU_PERIOD_US = 100_000;

export type MachineSize = { memoryMiB: number; vcpus: number; diskBytes: number; accelerator: Accelerator };

export type RunLimits = { fileBytes: number; openFiles: number; processes: number };

/** The disk must not grow and the memory file is as large as it will ever be; everything else QEMU writes is small. */
export function runLimits({ memoryMiB, vcpus, diskBytes }: MachineSize): RunLimits {
  return {
    fileBytes: Math.max(memoryMiB * MIB, diskBytes) + FILE_SLACK_BYTES,
    openFiles: OPEN_FILES,
    processes: THREADS + vcpus,
  };
}

export type IoLimit = {
  /** `major:minor` of the disk that holds the data directory. */
  device: string;
  bytesPerSecond: number;
};

/** Values of cgroup v2 files, by file name. */
export type CgroupLimits = Record<string, string>;

/** @param io null where the data directory is on no block device of its own */
export function cgroupLimits({ memoryMiB, vcpus, accelerator }: MachineSize, io: IoLimit | null): CgroupLimits {
  const memory = (memoryMiB + OVERHEAD_MIB + (accelerator === 'tcg' ? TRANSLATION_MIB : 0)) * MIB;
  const limits: CgroupLimits = {
    'memory.max': String(memory),
    // Guest memory never reaches a disk that nobody encrypted.
    'memory.swap.max': '0',
    'memory.oom.group': '1',
    'cpu.max': `${(vcpus + CPU_EXTRA) * CPU_PERIOD_US} ${CPU_PERIOD_US}`,
    'pids.max': String(THREADS + vcpus),
  };
  if (io) limits['io.max'] = `${io.device} rbps=${io.bytesPerSecond} wbps=${io.bytesPerSecond}`;
  return limits;
}
