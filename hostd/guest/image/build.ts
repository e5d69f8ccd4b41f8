import { spawn } from 'node:child_process';
import { cp, mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import readline from 'node:readline';
import { loadHostEnv } from '../../env.ts';
import { HostdError } from '../../errors.ts';
import { startTimeOf } from '../../hypervisor/qemu/process.ts';
import { writeAtomically } from '../../storage/files.ts';
import { findImage, type ImageManifest } from '../../storage/images.ts';
import { type Layout, layoutOf } from '../../storage/layout.ts';
import { prepareDataDir } from '../../storage/volume.ts';
import { BOOTSTRAP, currentImageId, debianPackages, RECIPE_DIR } from './recipe.ts';

/*
 * Builds the guest image: `node hostd/guest/image/build.ts [--force]`. Everything happens in a directory beside the images
 * and is renamed into place at the end, so an image exists whole or not at all. npm packages are kept between builds.
 */
const startedAt = performance.now();
let current = '';

function stage(name: string): void {
  current = name;
  process.stdout.write(`[${((performance.now() - startedAt) / 1000).toFixed(1).padStart(6)} s] ${name}\n`);
}

/** Runs a program; lines marked `warren-stage:` become stages. Rejects with the last lines of its output. */
async function runStaged(program: string, args: string[], env: Record<string, string> = {}): Promise<void> {
  const tail: string[] = [];
  const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  const read = async (stream: NodeJS.ReadableStream) => {
    for await (const line of readline.createInterface({ input: stream })) {
      if (line.startsWith('warren-stage: ')) stage(line.slice('warren-stage: '.length));
      else if (tail.push(line) > 20) tail.shift();
    }
  };
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  const [code] = await Promise.all([ended, read(child.stdout), read(child.stderr)]).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    throw new HostdError('missing_dependency', {
      message: `${program} is not installed: apt-get install ${program}`,
      phase: 'image.build',
    });
  });
  if (code === 0) return;
  throw new HostdError('internal', {
    message: `${program} failed with code ${code} in stage "${current}"`,
    phase: 'image.build',
    tail: tail.join('\n'),
  });
}

async function installPackages(layout: Layout): Promise<string> {
  const cache = path.join(layout.images, '.npm');
  const lock = await readFile(path.join(RECIPE_DIR, 'packages', 'package-lock.json'), 'utf8');
  const done = await readFile(path.join(cache, 'installed.json'), 'utf8').catch(() => null);
  if (done === lock) return cache;
  stage('npm packages: node, npm, codex-acp');
  await rm(cache, { recursive: true, force: true });
  await mkdir(cache, { recursive: true });
  for (const name of ['package.json', 'package-lock.json'])
    await cp(path.join(RECIPE_DIR, 'packages', name), path.join(cache, name));
  await runStaged('npm', ['ci', '--prefix', cache, '--ignore-scripts', '--no-audit', '--no-fund']);
  await writeAtomically(path.join(cache, 'installed.json'), lock);
  return cache;
}

async function bootstrap(out: string, packagesDir: string): Promise<void> {
  stage('Debian packages (download, unpack, configure)');
  const noInitramfs =
    'mkdir -p "$1/etc/initramfs-tools" && echo update_initramfs=no >"$1/etc/initramfs-tools/update-initramfs.conf"';
  await runStaged(
    'mmdebstrap',
    [
      '--variant=minbase',
      '--format=null',
      '--dpkgopt=force-confold',
      ...BOOTSTRAP.leftOut.map((pattern) => `--dpkgopt=path-exclude=${pattern}`),
      '--dpkgopt=path-include=/usr/share/doc/*/copyright',
      `--include=${(await debianPackages()).join(',')}`,
      `--setup-hook=${noInitramfs}`,
      `--customize-hook=${path.join(RECIPE_DIR, 'customize.sh')}`,
      BOOTSTRAP.suite,
    ],
    { RECIPE: RECIPE_DIR, PACKAGES: packagesDir, OUT: out, DISK_MIB: String(BOOTSTRAP.diskMiB) },
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

/** Builds the image of the current recipe unless it is there. @returns its id */
export async function buildImage(layout: Layout, options: { force: boolean }): Promise<string> {
  const imageId = await currentImageId();
  if (options.force) await rm(layout.image(imageId).dir, { recursive: true, force: true });
  else if (await findImage(layout, imageId)) {
    stage(`the image ${imageId} is there`);
    return imageId;
  }
  await removeAbandoned(layout);
  const out = path.join(layout.images, `.build-${imageId}-${process.pid}`);
  await rm(out, { recursive: true, force: true });
  await mkdir(out, { mode: 0o755 });
  try {
    await bootstrap(out, await installPackages(layout));
    const files: ImageManifest['files'] = {};
    for (const name of ['disk.raw', 'vmlinux', 'initrd']) files[name] = { bytes: (await stat(path.join(out, name))).size };
    const buildSeconds = Math.round((performance.now() - startedAt) / 1000);
    const manifest: ImageManifest = { schemaVersion: 1, imageId, createdAt: new Date().toISOString(), buildSeconds, files };
    await writeAtomically(path.join(out, 'image.json'), `${JSON.stringify(manifest, null, 2)}\n`);
    // Fails when another build of the same recipe was first; then there is nothing left to do.
    await rename(out, layout.image(imageId).dir).catch(async (error) => {
      if (!(await findImage(layout, imageId))) throw error;
    });
  } finally {
    await rm(out, { recursive: true, force: true });
  }
  stage(`the image ${imageId} is ready`);
  return imageId;
}

if (import.meta.main) {
  try {
    const layout = layoutOf(loadHostEnv().HOSTD_DATA_DIR);
    stage('data directory');
    const volume = await prepareDataDir(layout);
    process.stdout.write(`           ${volume.detail}\n`);
    await buildImage(layout, { force: process.argv.includes('--force') });
  } catch (error) {
    const tail = error instanceof HostdError && error.tail ? `\n${error.tail}` : '';
    process.stderr.write(`${error instanceof Error ? error.message : error}${tail}\n`);
    process.exitCode = 1;
  }
}
