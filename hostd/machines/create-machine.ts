import { mkdir } from 'node:fs/promises';
import type { EgressPolicy } from '../contract/egress.ts';
import type { CreateMachine, MachineView } from '../contract/machines.ts';
import { HostdError } from '../errors.ts';
import { faultPoint } from '../fault/fault-point.ts';
import type { Vm } from '../hypervisor/driver.ts';
import { asDiskError } from '../storage/files.ts';
import { takeLease } from '../storage/leases.ts';
import { discard } from '../storage/trash.ts';
import { requireCapacity } from './capacity.ts';
import { collectConsole, readConsole } from './console.ts';
import { applyEgress, type MachineContext, toGuestMachine } from './context.ts';
import { connect, endMachine, vacate } from './exit.ts';
import { replaceIdentity, setHostname } from './identity.ts';
import { type Origin, prepareFiles, resolveOrigin, toVmSpec } from './prepare.ts';
import { listRecords, type MachineRecord, type MachineRequest, readRecord, toMachineView, writeRecord } from './record.ts';
import { sizeOf } from './spares.ts';

const BOOT_DEADLINE_MS = 180_000;
const RESUME_DEADLINE_MS = 60_000;
const BOOT_ID_FILE = '/proc/sys/kernel/random/boot_id';
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const IMAGE_HOSTNAME = 'warren';

type Stamp = (step: string) => void;

/**
 * Makes the machine and waits until its guest answers, after a cold boot over SSH too. Repeating the call returns the machine that
 * is there. When a step fails nothing is left of it.
 */
export async function createMachine(ctx: MachineContext, machineId: string, input: CreateMachine): Promise<MachineView> {
  const requestedAt = performance.now();
  return ctx.locks.run(machineId, async () => {
    const lease = await takeLease(ctx.layout, machineId, input.lease);
    await faultPoint('create.lease_written');
    const existing = await readRecord(ctx.layout, machineId);
    if (existing) {
      await lease.onDisk;
      return toMachineView(await takeOver(ctx, existing, input), ctx.connected.get(machineId) ?? null);
    }
    const { egress, ...request } = input;
    const made = await makeMachine(ctx, machineId, request, { egress, requestedAt });
    await lease.onDisk;
    return made;
  });
}

/** Of a machine that is not there, under its lock. When a step fails nothing is left of it. */
export async function makeMachine(
  ctx: MachineContext,
  machineId: string,
  request: MachineRequest,
  { egress, requestedAt }: { egress: EgressPolicy | null; requestedAt: number },
): Promise<MachineView> {
  const timingsMs: Record<string, number> = {};
  const stamp: Stamp = (step) => {
    timingsMs[step] = Math.round(performance.now() - requestedAt);
  };
  if (egress) ctx.egress.set(machineId, egress);
  try {
    const { record, origin } = await admit(ctx, machineId, request);
    await faultPoint('create.admitted');
    return toMachineView(await bringUp(ctx, record, origin, timingsMs, stamp), null);
  } catch (error) {
    const explained = await explain(ctx, machineId, error);
    await endMachine(ctx, machineId);
    await discard(ctx.layout, ctx.layout.machine(machineId).dir);
    throw asDiskError(explained, 'machine.create');
  }
}

/** A guest that does not come up says why on its console, which is about to be removed. */
async function explain(ctx: MachineContext, machineId: string, error: unknown): Promise<unknown> {
  const vm = ctx.connected.get(machineId);
  if (!vm) return error;
  const files = ctx.layout.machine(machineId);
  const exit = await Promise.race([vm.exited, Promise.resolve(null)]);
  await collectConsole(vm, files).catch(() => undefined);
  const tail = await readConsole(files);
  if (exit) {
    const message = `the machine ended before it was ready: ${exit.reason}`;
    return new HostdError('internal', { message, phase: 'machine.create', tail, cause: error });
  }
  if (!(error instanceof HostdError) || error.code !== 'guest_unreachable' || tail === '') return error;
  return new HostdError(error.code, { message: error.message, phase: error.phase, tail, cause: error });
}

async function takeOver(ctx: MachineContext, existing: MachineRecord, input: CreateMachine): Promise<MachineRecord> {
  if (JSON.stringify(existing.request.source) !== JSON.stringify(input.source)) {
    throw new HostdError('conflict', {
      message: `machine ${existing.machineId} exists and was made from another source`,
      phase: 'machine.create',
    });
  }
  await applyEgress(ctx, existing, input.egress);
  return input.lease > existing.lease ? writeRecord(ctx.layout, { ...existing, lease: input.lease }) : existing;
}

/** One at a time on this host, so that two requests cannot both be given the last memory. */
function admit(
  ctx: MachineContext,
  machineId: string,
  request: MachineRequest,
): Promise<{ record: MachineRecord; origin: Origin }> {
  return ctx.locks.run('admission', async () => {
    const origin = await resolveOrigin(ctx, request);
    const running = (await listRecords(ctx.layout)).filter((record) => record.phase !== 'exited');
    await requireCapacity(
      ctx.layout,
      origin.memoryMiB,
      running.reduce((sum, record) => sum + record.memoryMiB, ctx.spares.heldMiB),
    );
    await mkdir(ctx.layout.machine(machineId).vm.dir, { recursive: true, mode: 0o700 });
    const record = await writeRecord(ctx.layout, {
      schemaVersion: 1,
      machineId,
      lease: request.lease,
      phase: 'starting',
      request,
      memoryMiB: origin.memoryMiB,
      vcpus: origin.vcpus,
      imageId: origin.imageId,
      parentSnapshotId: origin.manifest?.snapshotId ?? null,
      carried: origin.restores ? (origin.manifest?.carried ?? null) : null,
      ...ctx.driver.platform,
      spareId: null,
      process: null,
      bootId: null,
      createdAt: new Date().toISOString(),
      timingsMs: {},
      snapshotId: null,
      exitReason: null,
    });
    return { record, origin };
  });
}

async function bringUp(
  ctx: MachineContext,
  admitted: MachineRecord,
  origin: Origin,
  timingsMs: Record<string, number>,
  stamp: Stamp,
): Promise<MachineRecord> {
  const { machineId, request } = admitted;
  const snapshotId = origin.manifest?.snapshotId;
  const prepare = () => prepareFiles(ctx, request, origin, ctx.layout.machine(machineId));
  // The lock keeps the snapshot from being removed while it is read.
  await (snapshotId === undefined ? prepare() : ctx.locks.run(snapshotId, prepare));
  await faultPoint('create.files_made');
  const spared = await startSpare(ctx, admitted, origin);
  const vm = spared?.vm ?? (await ctx.driver.start(toVmSpec(ctx, admitted, origin)));
  stamp('qemu');
  ctx.connected.set(machineId, vm);
  await faultPoint('create.qemu_started');
  const started = spared?.named ?? (await writeRecord(ctx.layout, { ...admitted, process: vm.process }));
  await faultPoint('create.process_recorded');
  const guestMachine = await toGuestMachine(ctx, started, vm, request.source.kind);
  await ctx.guest.attach(guestMachine);
  await faultPoint('create.attached');
  if (origin.restores && origin.manifest) {
    const path = ctx.layout.snapshot(origin.manifest.snapshotId).deviceState;
    await vm.load({ path, sha256: origin.manifest.deviceStateSha256 });
    stamp('loaded');
    await faultPoint('create.state_loaded');
  }
  await vm.run();
  stamp('running');
  await faultPoint('create.running');
  await wakeGuest(vm, request, origin.restores);
  const bootId = await readBootId(vm);
  requireSameBoot(origin, bootId);
  stamp('guest');
  await faultPoint('create.woken');
  const channel = ctx.guest.ready(guestMachine).then(() => faultPoint('create.channel_open'));
  if (origin.restores) {
    // The guest has answered: whoever needs SSH waits for it, and nobody else.
    void channel.catch((error) => ctx.log.warn({ event: 'guest.not_ready', machineId, err: error }, 'SSH did not come up'));
  } else {
    await channel;
    stamp('ssh');
  }
  // One that died since its last word would be told to the caller as running.
  if (!(await ctx.driver.isAlive(vm.process)))
    throw new HostdError('internal', { message: (await vm.exited).reason, phase: 'machine.create' });
  connect(ctx, machineId, vm);
  ctx.log.info(
    { event: 'machine.running', machineId, source: request.source.kind, timingsMs, spare: spared !== null },
    'a machine is up',
  );
  if (origin.restores && origin.manifest) ctx.spares.refill(sizeOf(origin.manifest));
  return writeRecord(ctx.layout, { ...started, phase: 'running', bootId, timingsMs });
}

/** The machine in a process that waited for one; null when none did, or when the one that did is of no use after all. */
async function startSpare(ctx: MachineContext, admitted: MachineRecord, origin: Origin) {
  const taken = origin.restores && origin.manifest ? await ctx.spares.take(sizeOf(origin.manifest)) : null;
  if (!taken) return null;
  const { spareId, spare } = taken;
  // Written down before it is touched: from here on it is this machine's, whatever happens.
  const named = await writeRecord(ctx.layout, { ...admitted, spareId, process: spare.process });
  try {
    return { named, vm: await ctx.driver.start(toVmSpec(ctx, named, origin), spare) };
  } catch (error) {
    ctx.log.warn(
      { event: 'spare.lost', machineId: admitted.machineId, spareId, err: error },
      'a waiting process could not become a machine',
    );
    await vacate(ctx, named);
    await writeRecord(ctx.layout, admitted);
    return null;
  }
}

/** In this order: the clock first, because programs of a woken guest run already; then what it must not share with its siblings. */
async function wakeGuest(vm: Vm, request: MachineRequest, restored: boolean): Promise<void> {
  await vm.agent.ping(restored ? RESUME_DEADLINE_MS : BOOT_DEADLINE_MS);
  await vm.agent.setClock(Date.now());
  if (request.source.kind === 'fork') await replaceIdentity(vm.agent, request.hostname);
  if (request.source.kind === 'image' && request.hostname !== IMAGE_HOSTNAME) await setHostname(vm.agent, request.hostname);
}

/** The guest's word goes into records, manifests and the control plane's database: only what looks like one. */
async function readBootId(vm: Vm): Promise<string> {
  const text = (await vm.agent.readFile(BOOT_ID_FILE)).trim();
  if (UUID.test(text)) return text;
  throw new HostdError('guest_unreachable', { message: 'the guest’s boot id is not one', phase: 'guest.boot_id' });
}

function requireSameBoot(origin: Origin, bootId: string): void {
  if (!origin.restores || !origin.manifest?.bootId || origin.manifest.bootId === bootId) return;
  throw new HostdError('incompatible', {
    message: `the guest restarted instead of going on: required boot id ${origin.manifest.bootId}, found ${bootId}; boot from the snapshot's disk instead`,
    phase: 'guest.boot_id',
  });
}
