import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';

export const RECIPE_DIR = import.meta.dirname;
/** Certificate authorities this host trusts beyond its distribution's; machines get them too. */
const HOST_CERTIFICATES = '/usr/local/share/ca-certificates';
const RECIPE_PARTS = ['customize.sh', 'init.sh', 'packages.txt', 'packages/package-lock.json', 'rootfs'];

/** What mmdebstrap is told beyond the package list. */
export const BOOTSTRAP = {
  suite: 'bookworm',
  diskMiB: 3072,
  leftOut: [
    '/usr/share/man/*',
    '/usr/share/locale/*',
    '/usr/share/info/*',
    '/usr/share/doc/*',
    '/lib/modules/*/kernel/sound/*',
    // Drivers for hardware that a machine never has.
    ...[
      'atm',
      'bluetooth',
      'firewire',
      'gpu',
      'hid',
      'hwmon',
      'iio',
      'infiniband',
      'input',
      'isdn',
      'leds',
      'media',
      'mtd',
      'nvme',
    ],
    ...[
      'net/ethernet',
      'net/usb',
      'net/wan',
      'net/wireless',
      'pcmcia',
      'platform',
      'power',
      'rtc',
      'scsi',
      'staging',
      'thunderbolt',
      'usb',
    ],
  ].map((name) => (name.startsWith('/') ? name : `/lib/modules/*/kernel/drivers/${name}/*`)),
} as const;

/** Name of the image this recipe makes: a hash over everything that goes into it except what the Debian mirror serves that day. */
export async function currentImageId(): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify(BOOTSTRAP));
  const certificates = (await listFiles(HOST_CERTIFICATES)).filter((file) => file.endsWith('.crt'));
  const parts = await Promise.all(RECIPE_PARTS.map((part) => listFiles(path.join(RECIPE_DIR, part))));
  for (const file of [...parts.flat(), ...certificates]) {
    // The same recipe has the same id wherever the checkout lies.
    const name = file.startsWith(RECIPE_DIR) ? path.relative(RECIPE_DIR, file) : file;
    hash
      .update(`${name}\0`)
      .update(await readFile(file))
      .update('\0');
  }
  return `debian12-${hash.digest('hex').slice(0, 16)}`;
}

/** The file itself, or all files below the directory in a stable order. Empty when there is nothing. */
async function listFiles(at: string): Promise<string[]> {
  const entries = await readdir(at, { withFileTypes: true, recursive: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOTDIR') return null;
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  if (entries === null) return [at];
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name))
    .sort();
}

/** Names of the Debian packages in the image. */
export async function debianPackages(): Promise<string[]> {
  return (await readFile(path.join(RECIPE_DIR, 'packages.txt'), 'utf8')).split('\n').filter((line) => line !== '');
}
