import { stat } from 'node:fs/promises';
import { messageOf } from '../errors.ts';
import { faultPoint } from '../fault/fault-point.ts';
import type { SnapshotFiles } from '../storage/layout.ts';
import { makeDurable, type StoredManifest } from '../storage/snapshots.ts';
import type { MachineContext } from './context.ts';
import type { MachineRecord } from './record.ts';

/** What a manifest says of a machine's memory, beyond its size. */
export type Memory = Pick<
  StoredManifest,
  'processes' | 'listening' | 'carried' | 'stateFormat' | 'deviceStateSha256' | 'changedMemoryBytes' | 'zeroedMemoryBytes'
>;
const NO_MEMORY: Memory = {
  processes: null,
  listening: null,
  carried: null,
  stateFormat: null,
  deviceStateSha256: '',
  changedMemoryBytes: null,
  zeroedMemoryBytes: 0,
};

type Parts = {
  snapshotId: string;
  /** Where the snapshot's files are now. */
  files: SnapshotFiles;
  /** Null for a machine whose memory is gone: the snapshot then lists no memory file and cannot be resumed. */
  memory: Memory | null;
};

export async function manifestOf(ctx: MachineContext, record: MachineRecord, parts: Parts): Promise<StoredManifest> {
  const { snapshotId, files, memory } = parts;
  const names = memory ? (['memory', 'disk', 'deviceState'] as const) : (['disk'] as const);
  const sizes = await Promise.all(names.map(async (name) => [name, { bytes: (await stat(files[name])).size }] as const));
  return {
    schemaVersion: 1,
    snapshotId,
    machineId: record.machineId,
    parentSnapshotId: record.parentSnapshotId,
    imageId: record.imageId,
    qemuVersion: record.qemuVersion,
    machineType: record.machineType,
    cpuModel: record.cpuModel,
    accelerator: record.accelerator,
    memoryMiB: record.memoryMiB,
    vcpus: record.vcpus,
    bootId: record.bootId,
    ...(memory ?? NO_MEMORY),
    files: Object.fromEntries(sizes),
    createdAt: new Date().toISOString(),
    hostBootId: ctx.hostBootId,
  };
}

/** Not waited for: the page cache survives everything but a crash of the host, and that is noticed at the resume. */
export function bringToDisk(ctx: MachineContext, snapshotId: string): void {
  void makeDurable(ctx.layout, snapshotId)
    .then(() => faultPoint('suspend.durable'))
    .catch((error) =>
      ctx.log.warn(
        { event: 'snapshot.not_durable', snapshotId, reason: messageOf(error) },
        'a snapshot was not brought to the disk',
      ),
    );
}
