import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { IMAGE_VARIANTS, type ImageVariant } from '../../contract/images.ts';
import { DEBIAN_SUITE, type NpmPart, VARIANTS, type Variant } from './variants.ts';

export const RECIPE_DIR = import.meta.dirname;
/** Certificate authorities this host trusts beyond its distribution's; machines get them too. */
const HOST_CERTIFICATES = '/usr/local/share/ca-certificates';
/** What every variant is made with. */
const COMMON_PARTS = ['customize.sh', 'init.sh', 'packages/package-lock.json'];

/** What mmdebstrap is told beyond the package list. */
const LEFT_OUT = [
  '/usr/share/man/*',
  '/usr/share/locale/*',
  '/usr/share/info/*',
  '/usr/share/doc/*',
  '/lib/modules/*/kernel/sound/*',
  // Drivers for hardware that a machine never has.
  ...[
    ...['atm', 'bluetooth', 'firewire', 'gpu', 'hid', 'hwmon', 'iio', 'infiniband', 'input', 'isdn', 'leds', 'media', 'mtd'],
    ...['net/ethernet', 'net/usb', 'net/wan', 'net/wireless', 'nvme', 'pcmcia', 'platform', 'power', 'rtc', 'scsi', 'staging'],
    ...['thunderbolt', 'usb'],
  ].map((name) => `/lib/modules/*/kernel/drivers/${name}/*`),
];

/** A variant with all that it extends; lists keep their order and hold nothing twice. */
export type Recipe = {
  variant: ImageVariant;
  suite: string;
  leftOut: readonly string[];
  debian: readonly string[];
  npm: readonly NpmPart[];
  files: readonly string[];
  units: readonly string[];
  unitsOnDemand: readonly string[];
  diskMiB: number;
  /** Seconds since 1970: the time of every file that no package brought with a time of its own. */
  epoch: number;
};

export function recipeOf(name: ImageVariant, variants: Readonly<Record<ImageVariant, Variant>> = VARIANTS): Recipe {
  const variant = variants[name];
  const below = variant.extends === null ? null : recipeOf(variant.extends, variants);
  const join = <T>(key: 'debian' | 'files' | 'units' | 'unitsOnDemand' | 'npm', own: readonly T[]): T[] => [
    ...new Set([...((below?.[key] ?? []) as readonly T[]), ...own]),
  ];
  return {
    variant: name,
    suite: DEBIAN_SUITE,
    leftOut: LEFT_OUT,
    debian: join('debian', variant.debian),
    npm: join('npm', variant.npm),
    files: join('files', variant.files),
    units: join('units', variant.units),
    unitsOnDemand: join('unitsOnDemand', variant.unitsOnDemand),
    diskMiB: variant.diskMiB,
    epoch: Date.UTC(2026, 0, 1) / 1000,
  };
}

/** Name of the image a recipe makes: a hash over everything that goes into it except what the Debian mirror serves that day. */
export async function imageIdOf(recipe: Recipe): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify(recipe));
  const certificates = (await listFiles(HOST_CERTIFICATES)).filter((file) => file.endsWith('.crt'));
  const parts = await Promise.all([...COMMON_PARTS, ...recipe.files].map((part) => listFiles(path.join(RECIPE_DIR, part))));
  for (const file of [...parts.flat(), ...certificates]) {
    // The same recipe has the same id wherever the checkout lies.
    const name = file.startsWith(RECIPE_DIR) ? path.relative(RECIPE_DIR, file) : file;
    hash
      .update(`${name}\0`)
      .update(await readFile(file))
      .update('\0');
  }
  return `debian12-${recipe.variant}-${hash.digest('hex').slice(0, 16)}`;
}

export type ImageIds = Readonly<Record<ImageVariant, string>>;

/** Ids of the images that this release's recipes make, built or not. */
export async function currentImageIds(): Promise<ImageIds> {
  const ids = IMAGE_VARIANTS.map(async (variant) => [variant, await imageIdOf(recipeOf(variant))] as const);
  return Object.fromEntries(await Promise.all(ids)) as ImageIds;
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
