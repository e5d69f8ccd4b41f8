import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { cp, mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import type { ImageVariant } from '../../contract/images.ts';
import { startTimeOf } from '../../hypervisor/qemu/process.ts';
import { readIfExists, writeAtomically } from '../../storage/files.ts';
import { findImage, type ImageManifest, imageManifestSchema } from '../../storage/images.ts';
import { type ImageFiles, imageFiles, type Layout } from '../../storage/layout.ts';
import { contentIdOf, formatContents, parseContents, readContents } from './content.ts';
import type { ImageFacts } from './explain.ts';
import { archiveHost, archiveUrl, sourcesList } from './mirror.ts';
import { imageIdOf, RECIPE_DIR, type Recipe, recipeOf } from './recipe.ts';
import { type Report, runStaged } from './run-staged.ts';

export type BuildContext = { layout: Layout; mirror: string; env: NodeJS.ProcessEnv; report: Report };

/**
 * Builds the image of a variant's current recipe unless it is there. Everything happens in a directory beside the images and is
 * renamed into place at the end, so an image exists whole or not at all.
 *
 * @param force builds it again and puts it in place of the one that is there
 * @returns its id
 */
export async function buildImage(ctx: BuildContext, variant: ImageVariant, { force }: { force: boolean }): Promise<string> {
  const { layout, report } = ctx;
  const recipe = recipeOf(variant);
  const imageId = await imageIdOf(recipe);
  if (!force && (await findImage(layout, imageId))) {
    report(`the image ${imageId} is there`);
    return imageId;
  }
  await removeAbandoned(layout);
  const out = path.join(layout.images, `.build-${imageId}-${process.pid}`);
  try {
    await makeImage(ctx, recipe, out);
    if (force) await rm(layout.image(imageId).dir, { recursive: true, force: true });
    // Fails when another build of the same recipe was first; then there is nothing left to do.
    await rename(out, layout.image(imageId).dir).catch(async (error) => {
      if (!(await findImage(layout, imageId))) throw error;
    });
  } finally {
    await rm(out, { recursive: true, force: true });
  }
  report(`the image ${imageId} is ready`);
  return imageId;
}

/** Makes an image's files in a new directory, the manifest last. */
export async function makeImage(ctx: BuildContext, recipe: Recipe, out: string): Promise<ImageManifest> {
  const startedAt = performance.now();
  const packagesDir = await installPackages(ctx, recipe);
  await rm(out, { recursive: true, force: true });
  await mkdir(out, { mode: 0o755 });
  await bootstrap(ctx, recipe, out, packagesDir);
  const files = imageFiles(out);
  const lists = ['tree.txt', 'sums.txt', 'packages.txt'].map((name) => path.join(out, name));
  const [tree, sums, packages] = (await Promise.all(lists.map((list) => readFile(list, 'utf8')))) as [string, string, string];
  const contents = readContents(tree, sums);
  await writeAtomically(files.contents, formatContents(contents));
  for (const list of lists) await rm(list);
  const [vmlinux, initrd] = await Promise.all([files.kernel, files.initrd].map(sha256Of));
  const manifest: ImageManifest = {
    schemaVersion: 1,
    imageId: await imageIdOf(recipe),
    contentId: contentIdOf(contents, { vmlinux: vmlinux!, initrd: initrd! }),
    createdAt: new Date().toISOString(),
    buildSeconds: Math.round((performance.now() - startedAt) / 1000),
    mirror: ctx.mirror,
    packages: parseVersions(packages),
    npm: await npmVersions(recipe),
    files: {
      'disk.raw': { bytes: (await stat(files.disk)).size },
      vmlinux: { bytes: (await stat(files.kernel)).size, sha256: vmlinux },
      initrd: { bytes: (await stat(files.initrd)).size, sha256: initrd },
    },
  };
  await writeAtomically(files.manifest, `${JSON.stringify(manifest, null, 2)}\n`);
  return manifest;
}

/** What `explainDifference` needs of an image that was built. @throws when there is none in that directory */
export async function readFacts({ manifest, contents }: ImageFiles): Promise<ImageFacts> {
  const parsed = imageManifestSchema.parse(JSON.parse(await readFile(manifest, 'utf8')));
  const list = await readIfExists(contents);
  return { ...parsed, contents: list === null ? null : parseContents(list) };
}

export async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}

/** Lines of `name version`. */
export function parseVersions(text: string): Record<string, string> {
  const pairs = text.split('\n').filter((line) => line !== '');
  return Object.fromEntries(pairs.map((line) => line.split(' ', 2) as [string, string]).sort(([a], [b]) => (a < b ? -1 : 1)));
}

const lockSchema = z.object({ packages: z.record(z.string(), z.object({ version: z.string().optional() })) });

async function npmVersions({ npm }: Recipe): Promise<Record<string, string>> {
  const lock = lockSchema.parse(JSON.parse(await readFile(path.join(RECIPE_DIR, 'packages', 'package-lock.json'), 'utf8')));
  return Object.fromEntries(
    npm.map((part) => [part.package, lock.packages[`node_modules/${part.package}`]?.version ?? 'not locked']),
  );
}

/** npm packages are kept between builds. */
async function installPackages({ layout, report, env }: BuildContext, { npm }: Recipe): Promise<string> {
  const cache = path.join(layout.images, '.npm');
  const lock = await readFile(path.join(RECIPE_DIR, 'packages', 'package-lock.json'), 'utf8');
  const done = await readIfExists(path.join(cache, 'installed.json'));
  if (done === lock) return cache;
  report(`npm packages: ${npm.map((part) => part.package).join(', ')}`);
  await rm(cache, { recursive: true, force: true });
  await mkdir(cache, { recursive: true });
  for (const name of ['package.json', 'package-lock.json'])
    await cp(path.join(RECIPE_DIR, 'packages', name), path.join(cache, name));
  await runStaged('npm', ['ci', '--prefix', cache, '--ignore-scripts', '--no-audit', '--no-fund'], report, env);
  await writeAtomically(path.join(cache, 'installed.json'), lock);
  return cache;
}

async function bootstrap({ mirror, report, env }: BuildContext, recipe: Recipe, out: string, packagesDir: string): Promise<void> {
  report(`Debian packages: ${recipe.debian.length} and what they need (download, unpack, configure)`);
  const noInitramfs =
    'mkdir -p "$1/etc/initramfs-tools" && echo update_initramfs=no >"$1/etc/initramfs-tools/update-initramfs.conf"';
  const links = recipe.npm.flatMap((part) => Object.entries(part.links ?? {}));
  await runStaged(
    'mmdebstrap',
    [
      '--variant=minbase',
      '--format=null',
      '--dpkgopt=force-confold',
      ...recipe.leftOut.map((pattern) => `--dpkgopt=path-exclude=${pattern}`),
      '--dpkgopt=path-include=/usr/share/doc/*/copyright',
      `--include=${recipe.debian.join(',')}`,
      `--setup-hook=${noInitramfs}`,
      `--customize-hook=${path.join(RECIPE_DIR, 'customize.sh')}`,
      recipe.suite,
      '-',
      ...sourcesList(recipe.suite, (archive) => archiveUrl(mirror, archive)),
    ],
    report,
    {
      ...env,
      RECIPE: RECIPE_DIR,
      PACKAGES: packagesDir,
      OUT: out,
      DISK_MIB: String(recipe.diskMiB),
      FILES: recipe.files.join(' '),
      UNITS: recipe.units.join(' '),
      UNITS_ON_DEMAND: recipe.unitsOnDemand.join(' '),
      NPM_PARTS: recipe.npm.map((part) => `${path.join(part.package, part.from)} ${part.to}`).join('\n'),
      NPM_LINKS: links.map((link) => link.join(' ')).join('\n'),
      SOURCES: sourcesList(recipe.suite, (archive) => `http://${archiveHost(archive)}`).join('\n'),
      STARTED: String(Math.floor(Date.now() / 1000)),
      SOURCE_DATE_EPOCH: String(recipe.epoch),
    },
  );
}

/** What builds that were killed have left. */
async function removeAbandoned(layout: Layout): Promise<void> {
  for (const name of await readdir(layout.images)) {
    const pid = /^\.build-.*-(\d+)$/.exec(name)?.[1];
    if (pid !== undefined && (await startTimeOf(Number(pid))) === null)
      await rm(path.join(layout.images, name), { recursive: true, force: true });
  }
}
