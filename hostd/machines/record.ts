import { readdir } from 'node:fs/promises';
import { z } from 'zod';
import { ACCELERATORS, createMachineSchema, type MachineView } from '../contract/machines.ts';
import type { Vm } from '../hypervisor/driver.ts';
import { readIfExists, replaceFile, writeAtomically } from '../storage/files.ts';
import type { Layout } from '../storage/layout.ts';

/**
 * `starting` until everything is up: a hostd that finds such a machine removes it, and whoever asked for it asks again.
 * `suspending` may have gone far enough to be finished or not; see recover.ts.
 */
export const PHASES = ['starting', 'running', 'suspending', 'exited'] as const;

/** machine.json: all that hostd writes down of a machine. No credential is in it: what it may reach is in memory only. */
export const machineRecordSchema = z.object({
  schemaVersion: z.literal(1),
  machineId: z.string(),
  lease: z.number().int(),
  phase: z.enum(PHASES),
  request: createMachineSchema.omit({ egress: true }),
  memoryMiB: z.number().int(),
  vcpus: z.number().int(),
  imageId: z.string(),
  parentSnapshotId: z.string().nullable(),
  carried: z.string().nullable(),
  accelerator: z.enum(ACCELERATORS),
  cpuModel: z.string(),
  machineType: z.string(),
  qemuVersion: z.string(),
  /** The spare that became this machine: its sockets, user id and cgroup go by that name. */
  spareId: z.string().nullable().default(null),
  process: z.object({ pid: z.number().int(), startTimeTicks: z.string() }).nullable(),
  bootId: z.string().nullable(),
  createdAt: z.iso.datetime(),
  timingsMs: z.record(z.string(), z.number()),
  /** Set with phase `suspending`. */
  snapshotId: z.string().nullable(),
  exitReason: z.string().nullable(),
});
export type MachineRecord = z.infer<typeof machineRecordSchema>;
/** What a machine was asked to be, without what it may reach. */
export type MachineRequest = MachineRecord['request'];

/** @returns null when there is none or it cannot be read: such a machine was never finished */
export async function readRecord(layout: Layout, machineId: string): Promise<MachineRecord | null> {
  const text = await readIfExists(layout.machine(machineId).record);
  if (text === null) return null;
  try {
    return machineRecordSchema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

/** Of a machine that is still being made nothing is left after a crash of the host, so its record does not wait for the disk. */
export async function writeRecord(layout: Layout, record: MachineRecord): Promise<MachineRecord> {
  const write = record.phase === 'starting' ? replaceFile : writeAtomically;
  await write(layout.machine(record.machineId).record, `${JSON.stringify(record, null, 2)}\n`);
  return record;
}

/** Where its sockets are. */
export function socketDirOf(layout: Layout, { machineId, spareId }: Pick<MachineRecord, 'machineId' | 'spareId'>): string {
  return layout.sockets(spareId ?? machineId).dir;
}

const STALLED = 'the disk of its host is full; it goes on by itself as soon as there is space';

/** @param vm null for a machine that was not taken up or has no process */
export function toMachineView(record: MachineRecord, vm: Pick<Vm, 'isStalled'> | null): MachineView {
  return {
    machineId: record.machineId,
    lease: record.lease,
    state: record.phase,
    source: record.request.source,
    accelerator: record.accelerator,
    process: record.phase === 'exited' ? null : record.process,
    bootId: record.bootId,
    memoryMiB: record.memoryMiB,
    vcpus: record.vcpus,
    createdAt: record.createdAt,
    timingsMs: record.timingsMs,
    exitReason: record.exitReason,
    stalled: vm?.isStalled ? STALLED : null,
  };
}

/** Every machine on this host, as written down. */
export async function listRecords(layout: Layout): Promise<MachineRecord[]> {
  const ids = await readdir(layout.machines);
  const records = await Promise.all(ids.map((machineId) => readRecord(layout, machineId)));
  return records.filter((record) => record !== null);
}
