import type { Platform } from '../hypervisor/driver.ts';
import type { StoredManifest } from '../storage/snapshots.ts';

export type Compatibility = { ok: true } | { ok: false; required: string; found: string; fix: string };

const COLD_BOOT = 'boot from the snapshot’s disk instead: its files are kept, its running programs are not';

/** How this release writes and reads device states. */
export const STATE_FORMAT = 'devices';

type Facts = {
  platform: Platform;
  hostBootId: string;
  durable: boolean;
  memoryBytes: number;
};

/** Whether a snapshot's memory may be loaded here. Anything that is not known to fit is refused. */
export function decideCompatibility(manifest: StoredManifest, facts: Facts): Compatibility {
  const { platform } = facts;
  const { memory } = manifest.files;
  if (!memory) return { ok: false, required: 'saved memory', found: 'a snapshot of the disk alone', fix: COLD_BOOT };
  const series = (version: string) => version.split('.').slice(0, 2).join('.');
  const pairs: [what: string, required: string, found: string, fix: string][] = [
    ['accelerator', manifest.accelerator, platform.accelerator, `resume it on a host with that accelerator, or ${COLD_BOOT}`],
    ['CPU model', manifest.cpuModel, platform.cpuModel, `resume it on a host with that CPU, or ${COLD_BOOT}`],
    // Within one release series QEMU keeps the format of its state.
    ['QEMU series', series(manifest.qemuVersion), series(platform.qemuVersion), `install that QEMU, or ${COLD_BOOT}`],
    ['machine type', manifest.machineType, platform.machineType, `install the QEMU that has it, or ${COLD_BOOT}`],
    ['device state of the form', manifest.stateFormat ?? 'none', STATE_FORMAT, COLD_BOOT],
    ['memory file', `${memory.bytes} bytes`, `${facts.memoryBytes} bytes`, COLD_BOOT],
  ];
  for (const [what, required, found, fix] of pairs) {
    if (required !== found) return { ok: false, required: `${what} ${required}`, found, fix };
  }
  if (!facts.durable && manifest.hostBootId !== facts.hostBootId) {
    return { ok: false, required: 'memory that reached the disk', found: 'a host that went down before it did', fix: COLD_BOOT };
  }
  return { ok: true };
}
