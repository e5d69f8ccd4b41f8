import { randomBytes } from 'node:crypto';
import { access, constants, mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { getuid } from 'node:process';
import { z } from 'zod';
import { ACCELERATORS, type Accelerator } from '../contract/machines.ts';
import { confine } from '../jail/argv.ts';
import { readIfExists, writeAtomically } from '../storage/files.ts';
import type { ImageFiles } from '../storage/layout.ts';
import { QEMU } from './qemu/platform.ts';
import { endProcess, spawnDetached, tailOf } from './qemu/process.ts';

/*
 * Whether KVM works is found out by booting a guest under it. That the device opens, even that a virtual CPU can be made,
 * proves nothing: on some nested hosts the guest then never gets anywhere.
 */
const PROBE_DEADLINE_MS = 20_000;
const MARKER = 'WARREN-PROBE-OK';
const POLL_MS = 50;
const PROBE_LIMITS = { fileBytes: 2 ** 20, openFiles: 256, processes: 64 };

export type AcceleratorDecision = { accelerator: Accelerator; reason: string };

const cacheSchema = z.object({
  hostBootId: z.string(),
  qemuVersion: z.string(),
  imageId: z.string(),
  accelerator: z.enum(ACCELERATORS),
  reason: z.string(),
});

type Options = { cacheFile: string; qemuVersion: string; imageId: string; image: ImageFiles };

/** The accelerator of this host, from the cache of this boot and QEMU version or by probing (at most 20 s). */
export async function decideAccelerator(options: Options): Promise<AcceleratorDecision> {
  const { cacheFile, qemuVersion, imageId, image } = options;
  const hostBootId = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
  const text = await readIfExists(cacheFile);
  const cached = text === null ? null : cacheSchema.safeParse(JSON.parse(text)).data;
  const isFresh = cached?.hostBootId === hostBootId && cached.qemuVersion === qemuVersion && cached.imageId === imageId;
  if (cached && isFresh) return { accelerator: cached.accelerator, reason: cached.reason };
  const decision = await probeKvm(image);
  await writeAtomically(cacheFile, JSON.stringify({ hostBootId, qemuVersion, imageId, ...decision }));
  return decision;
}

async function probeKvm(image: ImageFiles): Promise<AcceleratorDecision> {
  try {
    await access('/dev/kvm', constants.R_OK | constants.W_OK);
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    return {
      accelerator: 'tcg',
      reason: missing ? 'there is no /dev/kvm on this host' : '/dev/kvm may not be opened: join the group kvm',
    };
  }
  const dir = await mkdtemp(path.join(os.tmpdir(), `warren-probe-${randomBytes(3).toString('hex')}`));
  const startedAt = performance.now();
  try {
    const found = await bootProbe(image, dir);
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
    if (found.booted) return { accelerator: 'kvm', reason: `a probe guest booted under KVM in ${seconds} s` };
    return { accelerator: 'tcg', reason: `/dev/kvm opens, but a probe guest under KVM ${found.why}` };
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

async function bootProbe(image: ImageFiles, dir: string): Promise<{ booted: true } | { booted: false; why: string }> {
  const serial = path.join(dir, 'serial');
  const log = path.join(dir, 'log');
  const args = ['-nodefaults', '-no-user-config', '-display', 'none', '-machine', 'q35,usb=off,sata=off,smbus=off,vmport=off'];
  args.push('-accel', 'kvm', '-cpu', 'host', '-m', '256M', '-no-reboot', '-serial', `file:${serial}`);
  args.push('-kernel', image.kernel, '-initrd', image.initrd, '-append', 'console=ttyS0 quiet panic=-1 warren.probe');
  const confinement = { limits: PROBE_LIMITS, cgroupDir: null, jail: null, asRoot: getuid?.() === 0 };
  const launch = { argv: confine(QEMU, args, confinement), reportsPid: false, logPath: log };
  const { process, earlyExit } = await spawnDetached(launch);
  const ended: { how: string | null } = { how: null };
  void earlyExit.then((how) => {
    ended.how = how;
  });
  try {
    for (const deadline = performance.now() + PROBE_DEADLINE_MS; performance.now() < deadline; ) {
      const over = ended.how;
      if ((await readFile(serial, 'utf8').catch(() => '')).includes(MARKER)) return { booted: true };
      if (over !== null)
        return { booted: false, why: `ended with ${over}: ${(await tailOf(log)).split('\n').at(0) || 'no message'}` };
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    return { booted: false, why: `printed nothing within ${PROBE_DEADLINE_MS / 1000} s` };
  } finally {
    await endProcess(process, 0);
  }
}
