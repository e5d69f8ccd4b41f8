import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { type Hostd, NO_EGRESS } from '../hostd.ts';
import { type RunInGuest, renewSecret, VERIFIER } from './verifier.ts';

const STAGE_DEADLINE_MS = 20 * 60_000;
const DISK_GIB = 6;
export const WORKLOAD = '/opt/warren-bench/workload.sh';

/** A guest by its size, how much of its disk's files it keeps in memory, how much memory is in use when it is put to sleep, and what its repository is made from. */
export type GuestSize = { name: string; memoryMiB: number; cacheMiB: number; totalMiB: number; sources: string };

const NPM = '/usr/local/lib/node_modules/npm';

/**
 * `main` is the guest of nearly every figure. Twenty of it do not fit into the computers this is run on; where hostd would refuse
 * them, `small` is forked instead, which also is the lower end of the growth figure.
 */
export const SIZES = {
  main: { name: 'main', memoryMiB: 2048, cacheMiB: 1024, totalMiB: 1400, sources: NPM },
  small: { name: 'small', memoryMiB: 1024, cacheMiB: 96, totalMiB: 512, sources: NPM },
  large: { name: 'large', memoryMiB: 4608, cacheMiB: 1024, totalMiB: 4096, sources: NPM },
  /** For a look at whether the bench still works: nothing is claimed from it. */
  tiny: { name: 'tiny', memoryMiB: 512, cacheMiB: 16, totalMiB: 200, sources: `${NPM}/node_modules/semver` },
} as const satisfies Record<string, GuestSize>;

/** What is known of a template's guest beside its snapshot. */
export type Template = { inUseMiB: number; secret: string };

/** Fencing numbers that rise from run to run. */
export function newLease(): number {
  return Math.floor(Date.now() / 1000);
}

export function templateOf(size: GuestSize): string {
  return `snp_bench${size.name.padEnd(10, '0')}`;
}

/**
 * Boots the image at this size, lets it work (disk and memory) and puts it to sleep under `templateOf(size)`.
 *
 * @returns MiB in use as the guest sees it, and the secret it made last
 */
export async function prepareTemplate(
  hostd: Hostd,
  size: GuestSize,
  verifier: string,
  note: (line: string) => void,
): Promise<Template> {
  const machineId = `mch_bench${size.name.padEnd(10, '0')}`;
  const snapshotId = templateOf(size);
  const lease = newLease();
  await hostd.client.removeSnapshot(snapshotId);
  note('booting the image');
  await hostd.client.create(machineId, {
    lease,
    source: { kind: 'image' },
    memoryMiB: size.memoryMiB,
    diskGiB: DISK_GIB,
    egress: NO_EGRESS,
  });
  const guest = hostd.guest(machineId);
  await guest(['mkdir', '-p', path.dirname(VERIFIER)]);
  for (const [file, target] of [
    [verifier, VERIFIER],
    [path.join(import.meta.dirname, 'workload.sh'), WORKLOAD],
    [path.join(import.meta.dirname, 'agent-turn.mjs'), path.join(path.dirname(WORKLOAD), 'agent-turn.mjs')],
  ] as const) {
    const dataBase64 = (await readFile(file)).toString('base64');
    await hostd.client.write(machineId, { path: target, dataBase64, mode: 'replace', user: 'root' });
  }
  await guest(['chmod', '755', VERIFIER, WORKLOAD]);
  note('a repository and packages on its disk');
  await guest(['sh', WORKLOAD, 'disk', size.sources], { timeoutMs: STAGE_DEADLINE_MS });
  note('tests, programs and files in its memory');
  const inUseMiB = await fillMemory(guest, size);
  const secret = await renewSecret(guest);
  await hostd.client.suspend(machineId, { lease, snapshotId });
  return { inUseMiB, secret };
}

/** Fills the memory of a guest that runs on a prepared disk. @returns MiB in use as the guest sees it */
export async function fillMemory(guest: RunInGuest, size: GuestSize): Promise<number> {
  const argv = ['sh', WORKLOAD, 'memory', String(size.cacheMiB), String(size.totalMiB)];
  return Number((await guest(argv, { timeoutMs: STAGE_DEADLINE_MS })).trim().split('\n').at(-1));
}
