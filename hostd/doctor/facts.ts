import { execFile } from 'node:child_process';
import { readdir, readFile, realpath, stat, statfs } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import type { Accelerator, IsolationLack } from '../contract/machines.ts';
import type { HostEnv } from '../env.ts';
import { messageOf } from '../errors.ts';
import { currentImageIds } from '../guest/image/recipe.ts';
import { decideAccelerator } from '../hypervisor/accelerator.ts';
import { SANDBOX } from '../hypervisor/qemu/args.ts';
import { QEMU, qemuFacts } from '../hypervisor/qemu/platform.ts';
import { openJails } from '../jail/privileges.ts';
import { PROGRAM_DIRS } from '../jail/tree.ts';
import { jailOptionsOf } from '../open-host.ts';
import { exists } from '../storage/files.ts';
import { findImage } from '../storage/images.ts';
import { type Layout, layoutOf } from '../storage/layout.ts';
import { prepareDataDir, type Volume } from '../storage/volume.ts';

const run = promisify(execFile);
const VULNERABILITIES = '/sys/devices/system/cpu/vulnerabilities';

/** What was read, or why it could not be. */
export type Read<T> = { ok: true; value: T } | { ok: false; why: string };

export type Swap = { name: string; encrypted: boolean; inMemory: boolean };

/** Everything the checks decide on, as found on this computer. `null` where the kernel does not say. */
export type HostFacts = {
  now: number;
  dataDir: string;
  qemu: Read<{ version: string; machineType: string; builtAt: number }>;
  sandbox: Read<null>;
  missingPackages: string[];
  volume: Read<Volume>;
  imageId: string;
  imageBuilt: boolean;
  /** Not decided without an image, which the probe boots. */
  accelerator: Read<{ accelerator: Accelerator; reason: string }> | null;
  isolationLacks: Read<IsolationLack[]>;
  kernel: { release: string; builtAt: number | null };
  swaps: Swap[];
  smtActive: boolean | null;
  ksmRunning: boolean | null;
  /** What the kernel says of each known fault of the CPU. */
  vulnerabilities: Record<string, string>;
  microcode: { revision: string | null; isVirtual: boolean };
  diskFreeBytes: number;
  memoryBytes: number;
  cores: number;
};

export async function readFacts(env: HostEnv): Promise<HostFacts> {
  const layout = layoutOf(env.HOSTD_DATA_DIR);
  const volume = await attempt(() => prepareDataDir(layout));
  const { base: imageId } = await currentImageIds();
  const imageBuilt = volume.ok && (await findImage(layout, imageId)) !== null;
  return {
    now: Date.now(),
    dataDir: layout.dataDir,
    qemu: await attempt(readQemu),
    sandbox: await attempt(trySandbox),
    missingPackages: await findMissingPackages(),
    volume,
    imageId,
    imageBuilt,
    accelerator: imageBuilt ? await attempt(() => probeAccelerator(layout, imageId)) : null,
    isolationLacks: await attempt(async () => (await openJails(jailOptionsOf(env, layout))).lacks),
    kernel: { release: os.release(), builtAt: parseBuildDate(os.version()) },
    swaps: await readSwaps(),
    smtActive: parseFlag(await text('/sys/devices/system/cpu/smt/active')),
    ksmRunning: parseFlag(await text('/sys/kernel/mm/ksm/run')),
    vulnerabilities: await readVulnerabilities(),
    microcode: parseMicrocode((await text('/proc/cpuinfo')) ?? ''),
    diskFreeBytes: await leastFree([layout.dataDir, path.dirname(layout.volumeFile)]),
    memoryBytes: os.totalmem(),
    cores: os.availableParallelism(),
  };
}

async function attempt<T>(read: () => Promise<T>): Promise<Read<T>> {
  return read().then(
    (value) => ({ ok: true, value }),
    (error: unknown) => ({ ok: false, why: messageOf(error) }),
  );
}

function text(file: string): Promise<string | null> {
  return readFile(file, 'utf8').catch(() => null);
}

/** Packages keep the time at which their files were built. */
async function readQemu() {
  const facts = await qemuFacts();
  const files = await Promise.all(PROGRAM_DIRS.map((dir) => stat(path.join(dir, QEMU)).catch(() => null)));
  return { ...facts, builtAt: files.find((found) => found !== null)?.mtimeMs ?? 0 };
}

/** QEMU sets its filter up before it prints this, and says so when the kernel or its build cannot. */
async function trySandbox(): Promise<null> {
  await run(QEMU, ['-sandbox', SANDBOX, '-machine', 'none', '-device', 'help']);
  if (!/^Seccomp:/m.test((await text('/proc/self/status')) ?? '')) throw new Error('this kernel has no seccomp');
  return null;
}

async function findMissingPackages(): Promise<string[]> {
  const needs = {
    mmdebstrap: 'mmdebstrap',
    mke2fs: 'e2fsprogs',
    resize2fs: 'e2fsprogs',
    prlimit: 'util-linux',
    bwrap: 'bubblewrap',
    'mkfs.xfs': 'xfsprogs',
  };
  const missing = new Set<string>();
  for (const [program, name] of Object.entries(needs)) {
    const found = await Promise.all(PROGRAM_DIRS.map((dir) => exists(path.join(dir, program))));
    if (!found.includes(true)) missing.add(name);
  }
  return [...missing];
}

async function probeAccelerator(layout: Layout, imageId: string) {
  const { version } = await qemuFacts();
  return decideAccelerator({ cacheFile: layout.accelerator, qemuVersion: version, imageId, image: layout.image(imageId) });
}

/** Debian's is in parentheses (`(2026-04-30)`), others end in a date as `date` prints it; null for a build that hides it. */
export function parseBuildDate(version: string): number | null {
  const found = /\((\d{4}-\d{2}-\d{2})\)/.exec(version)?.[1] ?? /\w{3} \w{3} +\d+ [\d:]+ \w+ \d{4}$/.exec(version)?.[0];
  const time = found === undefined ? Number.NaN : Date.parse(found);
  return Number.isNaN(time) ? null : time;
}

function parseFlag(value: string | null): boolean | null {
  return value === null ? null : value.trim() === '1';
}

export function parseMicrocode(cpuinfo: string): HostFacts['microcode'] {
  const flags = /^flags\s*:(.*)$/m.exec(cpuinfo)?.[1] ?? '';
  return { revision: /^microcode\s*: (\S+)$/m.exec(cpuinfo)?.[1] ?? null, isVirtual: / hypervisor( |$)/.test(flags) };
}

async function readVulnerabilities(): Promise<Record<string, string>> {
  const names = await readdir(VULNERABILITIES).catch(() => []);
  const values = await Promise.all(names.map((name) => text(path.join(VULNERABILITIES, name))));
  return Object.fromEntries(names.map((name, index) => [name, values[index]?.trim() ?? '']));
}

/** Device-mapper names its encrypted devices; a file lies on whatever its file system lies on and counts as plain. */
async function readSwaps(): Promise<Swap[]> {
  const rows = ((await text('/proc/swaps')) ?? '').trim().split('\n').slice(1);
  return Promise.all(
    rows.map(async (row) => {
      const name = row.split(/\s+/)[0]!;
      const device = path.basename(await realpath(name).catch(() => name));
      const uuid = await text(`/sys/block/${device}/dm/uuid`);
      return { name, encrypted: uuid?.startsWith('CRYPT-') ?? false, inMemory: device.startsWith('zram') };
    }),
  );
}

async function leastFree(dirs: string[]): Promise<number> {
  const free = await Promise.all(
    dirs.map((dir) =>
      statfs(dir).then(
        (found) => found.bavail * found.bsize,
        () => 0,
      ),
    ),
  );
  return Math.min(...free);
}
