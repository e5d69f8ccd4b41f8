import { readFile, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { exists } from '../storage/files.ts';

/** `major:minor` of the whole disk that holds `dir`, which is what io.max wants; null for file systems on no single disk (btrfs, overlay). */
export async function findIoDevice(dir: string, sys = '/sys/dev/block'): Promise<string | null> {
  const { dev } = await stat(dir);
  const own = path.join(sys, deviceName(dev));
  const [isDevice, isPartition] = await Promise.all([exists(own), exists(path.join(own, 'partition'))]);
  if (!isDevice) return null;
  if (!isPartition) return deviceName(dev);
  // The link leads to …/block/<disk>/<partition>.
  return (await readFile(path.join(await realpath(own), '..', 'dev'), 'utf8')).trim();
}

/** How the kernel packs a device number: 12 bits of major above 8 bits of minor, the rest of both higher up. */
export function deviceName(dev: number): string {
  const wide = BigInt(dev);
  const major = ((wide >> 8n) & 0xfffn) | ((wide >> 32n) & ~0xfffn);
  const minor = (wide & 0xffn) | ((wide >> 12n) & 0xffffff00n);
  return `${major}:${minor}`;
}
