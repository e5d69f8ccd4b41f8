import { execFile } from 'node:child_process';
import { stat, truncate, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { BASE_VARIANT } from '../contract/images.ts';
import { HostdError } from '../errors.ts';
import type { VmSpec } from '../hypervisor/driver.ts';
import { cloneFile, linkFile } from '../storage/files.ts';
import { requireImage } from '../storage/images.ts';
import type { MachineFiles } from '../storage/layout.ts';
import { readReplica } from '../storage/replicas/replica-file.ts';
import { isDurable, requireSnapshot, type StoredManifest } from '../storage/snapshots.ts';
import { decideCompatibility } from './compatibility.ts';
import type { MachineContext } from './context.ts';
import { type MachineRecord, type MachineRequest, socketDirOf } from './record.ts';

const run = promisify(execFile);
const MIB = 1024 ** 2;
const GIB = 1024 ** 3;

/** Everything a new machine is made from, checked before anything is made. */
export type Origin = {
  manifest: StoredManifest | null;
  imageId: string;
  memoryMiB: number;
  vcpus: number;
  restores: boolean;
};

/** @throws `not_found`, `incompatible` or `missing_dependency` */
export async function resolveOrigin(ctx: MachineContext, input: MachineRequest): Promise<Origin> {
  const { source } = input;
  if (source.kind === 'image') {
    const variant = source.variant ?? BASE_VARIANT;
    const imageId = ctx.imageIds[variant];
    await requireImage(ctx.layout, imageId, variant);
    return { manifest: null, imageId, memoryMiB: input.memoryMiB, vcpus: input.vcpus, restores: false };
  }
  const manifest = await requireSnapshot(ctx.layout, source.snapshotId);
  await requireHere(ctx, source.snapshotId);
  await requireDisk(ctx, manifest);
  if (source.kind === 'disk') {
    await requireImage(ctx.layout, manifest.imageId);
    return { manifest, imageId: manifest.imageId, memoryMiB: manifest.memoryMiB, vcpus: manifest.vcpus, restores: false };
  }
  const files = ctx.layout.snapshot(source.snapshotId);
  const decision = decideCompatibility(manifest, {
    platform: ctx.driver.platform,
    hostBootId: ctx.hostBootId,
    durable: await isDurable(files),
    memoryBytes: await bytesOf(files.memory),
  });
  if (!decision.ok) {
    throw new HostdError('incompatible', {
      message: `snapshot ${source.snapshotId} cannot be loaded here: required ${decision.required}, found ${decision.found}; ${decision.fix}`,
      phase: 'snapshot.check',
    });
  }
  return { manifest, imageId: manifest.imageId, memoryMiB: manifest.memoryMiB, vcpus: manifest.vcpus, restores: true };
}

async function requireHere(ctx: MachineContext, snapshotId: string): Promise<void> {
  if (!(await readReplica(ctx.layout.snapshot(snapshotId)))?.evicted) return;
  throw new HostdError('conflict', {
    message: `snapshot ${snapshotId} is in the object store alone: fetch it first`,
    phase: 'snapshot.check',
  });
}

/** A disk of another size than was signed is not booted either. */
async function requireDisk(ctx: MachineContext, { snapshotId, files }: StoredManifest): Promise<void> {
  const found = await bytesOf(ctx.layout.snapshot(snapshotId).disk);
  const required = files.disk?.bytes;
  if (found === required) return;
  throw new HostdError('incompatible', {
    message: `snapshot ${snapshotId} is not used: required a disk of ${required} bytes, found ${found === -1 ? 'none' : found}; use another snapshot or start anew`,
    phase: 'snapshot.check',
  });
}

function bytesOf(file: string): Promise<number> {
  return stat(file).then(
    (found) => found.size,
    () => -1,
  );
}

/** Makes the machine's own disk, and the file its memory starts from. Its `vm` directory exists. */
export async function prepareFiles(ctx: MachineContext, input: MachineRequest, origin: Origin, to: MachineFiles): Promise<void> {
  if (input.source.kind === 'image') {
    await cloneFile(ctx.layout.image(origin.imageId).disk, to.vm.disk);
    await growDisk(to.vm.disk, input.diskGiB * GIB);
  } else await cloneFile(ctx.layout.snapshot(input.source.snapshotId).disk, to.vm.disk);
  if (origin.restores && origin.manifest)
    return linkFile(ctx.layout.snapshot(origin.manifest.snapshotId).memory, to.mappedMemory);
  // A cold boot starts from nothing but zeros.
  await writeFile(to.mappedMemory, '', { mode: 0o600 });
  await truncate(to.mappedMemory, origin.memoryMiB * MIB);
}

/** Grows the file and the ext4 in it; quick on the host, slow in an emulated guest. Never shrinks. */
async function growDisk(disk: string, bytes: number): Promise<void> {
  if ((await stat(disk)).size >= bytes) return;
  await truncate(disk, bytes);
  await run('resize2fs', [disk]).catch((cause) => {
    throw new HostdError('internal', {
      message: 'the disk could not be grown',
      phase: 'storage.grow',
      tail: String(cause.stderr ?? cause),
      cause,
    });
  });
}

export function toVmSpec(ctx: MachineContext, record: MachineRecord, origin: Origin): VmSpec {
  const { machineId } = record;
  const files = ctx.layout.machine(machineId);
  const image = ctx.layout.image(origin.imageId);
  const { machineType, cpuModel } = ctx.driver.platform;
  return {
    machineId,
    memoryMiB: origin.memoryMiB,
    vcpus: origin.vcpus,
    memoryPath: files.mappedMemory,
    diskPath: files.vm.disk,
    logPath: files.qemuLog,
    socketDir: socketDirOf(ctx.layout, record),
    machineType,
    cpuModel,
    begin: origin.restores ? { kind: 'restore' } : { kind: 'boot', kernelPath: image.kernel, initrdPath: image.initrd },
  };
}
