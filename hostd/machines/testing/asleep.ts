import { existsSync } from 'node:fs';
import { mkdir, rm, symlink } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import type { MachineSource, MachineView } from '../../contract/machines.ts';
import { HostdProcess } from './hostd-process.ts';

/*
 * A guest that sleeps below the test host's data directory, for computers on which booting one takes longer than hostd waits:
 * `scripts/on-cgroup2.ts` puts it there.
 */
const ASLEEP = 'snp_asleep00000001';
const REQUEST = { lease: 1, memoryMiB: 512, vcpus: 1, egress: { services: [], allow: [] } };

const DURABLE_AGAIN_MS = 50;

const dirIn = (dataDir: string) => path.join(dataDir, 'asleep');

/** Boots a guest of the image in `dataDir` and suspends it. */
export async function putToSleep(dataDir: string): Promise<void> {
  const dir = dirIn(dataDir);
  await mkdir(dir, { mode: 0o700 });
  await symlink('../images', path.join(dir, 'images'));
  const hostd = await HostdProcess.over(dir);
  await hostd.start();
  const machineId = 'mch_asleep00000001';
  await hostd.call<MachineView>('PUT', `machines/${machineId}`, { ...REQUEST, source: { kind: 'image' } });
  await hostd.call('POST', `machines/${machineId}/suspend`, { lease: REQUEST.lease, snapshotId: ASLEEP });
  // Memory that had not reached the disk is not used by a computer that was off since.
  const { durable } = hostd.layout.snapshot(ASLEEP);
  while (!existsSync(durable)) await setTimeout(DURABLE_AGAIN_MS);
  await hostd.kill();
  await rm(hostd.layout.runDir, { recursive: true });
}

/** A hostd that runs and makes machines: forks of the sleeping guest where there is one, else booted. @param dataDir of the test host */
export async function startMachineMaker(dataDir: string) {
  const isThere = existsSync(dirIn(dataDir));
  const hostd = await (isThere ? HostdProcess.over(dirIn(dataDir)) : HostdProcess.make());
  await hostd.start();
  const source: MachineSource = isThere ? { kind: 'fork', snapshotId: ASLEEP } : { kind: 'image' };
  const make = (machineId: string) => hostd.call<MachineView>('PUT', `machines/${machineId}`, { ...REQUEST, source });
  return { hostd, make };
}
