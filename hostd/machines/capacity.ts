import os from 'node:os';
import path from 'node:path';
import { HostdError } from '../errors.ts';
import { freeBytes } from '../storage/files.ts';
import type { Layout } from '../storage/layout.ts';

const MIB = 1024 * 1024;
/** For the host itself, hostd and the page cache. */
const MEMORY_RESERVE_MIB = 1024;
/** So that manifests, records and logs can always be written. */
const DISK_RESERVE_MIB = 1024;

/** Bytes that can still be written: the data directory may be a sparse volume on a file system with less room than it shows. */
export async function freeDataBytes(layout: Layout): Promise<number> {
  return Math.min(await freeBytes(layout.dataDir), await freeBytes(path.dirname(layout.volumeFile)));
}

/**
 * Refuses a machine that does not fit beside those that run. Memory is a file: when the disk fills up under it, the kernel
 * kills the machine, so its whole size must be free.
 *
 * @throws `no_capacity`
 */
export async function requireCapacity(layout: Layout, wantedMiB: number, runningMiB: number): Promise<void> {
  const memoryMiB = Math.floor(os.totalmem() / MIB) - MEMORY_RESERVE_MIB - runningMiB;
  if (wantedMiB > memoryMiB) {
    throw new HostdError('no_capacity', {
      message: `${wantedMiB} MiB of memory are asked for, ${Math.max(0, memoryMiB)} MiB are left beside ${runningMiB} MiB in use: suspend machines`,
      phase: 'capacity',
    });
  }
  const diskMiB = Math.floor((await freeDataBytes(layout)) / MIB) - DISK_RESERVE_MIB;
  if (wantedMiB > diskMiB) {
    throw new HostdError('no_capacity', {
      message: `${wantedMiB} MiB of disk are needed, ${Math.max(0, diskMiB)} MiB are left: delete snapshots or give the data directory more space`,
      phase: 'capacity',
    });
  }
}
