import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { chmod, constants, copyFile, mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { HostdError } from '../errors.ts';
import { exists, isErrno } from '../storage/files.ts';

/*
 * The file system that a jailed QEMU sees beside its machine's files: copies of its binary, the libraries that the loader
 * names for it, its firmware, and setpriv. Copies, so that one bind shows them and nothing else, machines share their pages,
 * and an upgrade of the packages changes nothing under a running machine. Made once per set of files.
 */
const run = promisify(execFile);
/** Where hostd's programs are looked for, whatever its PATH is. */
export const PROGRAM_DIRS = ['/usr/local/bin', '/usr/bin', '/bin', '/usr/local/sbin', '/usr/sbin', '/sbin'];
/** All that a machine without display and network device loads. */
const FIRMWARE = ['bios-256k.bin', 'kvmvapic.bin', 'linuxboot_dma.bin', 'pvh.bin'];
/** Distributions build emulation into QEMU or put it into a module here. */
const MODULES = ['/usr/lib/x86_64-linux-gnu/qemu', '/usr/lib64/qemu', '/usr/lib/qemu'].map((dir) => `${dir}/accel-tcg-x86_64.so`);

export type JailTree = {
  dir: string;
  /** Names of the directories in `dir`, each of which appears at the jail's root. */
  tops: readonly string[];
  /** Paths inside the jail. */
  qemu: string;
  setpriv: string;
};

/** Brings the tree for the installed QEMU under `parent`, a directory of hostd's. @throws `missing_dependency` */
export async function prepareTree(parent: string, qemuName: string): Promise<JailTree> {
  const [qemu, setpriv] = await Promise.all([findProgram(qemuName), findProgram('setpriv')]);
  const files = await filesOf(qemu, setpriv);
  const stats = await Promise.all(files.map((file) => stat(file)));
  const text = files.map((file, index) => `${file} ${stats[index]!.size} ${stats[index]!.mtimeMs}`).join('\n');
  const dir = path.join(parent, createHash('sha256').update(text).digest('hex').slice(0, 16));
  if (!(await exists(dir))) await copyTree(files, dir);
  return { dir, tops: await readdir(dir), qemu, setpriv };
}

async function findProgram(name: string): Promise<string> {
  for (const dir of PROGRAM_DIRS) {
    const file = path.join(dir, name);
    if (await exists(file, constants.X_OK)) return file;
  }
  throw new HostdError('missing_dependency', { message: `${name} is not in ${PROGRAM_DIRS.join(', ')}`, phase: 'jail.tree' });
}

async function filesOf(qemu: string, setpriv: string): Promise<string[]> {
  const modules = await present(MODULES);
  const { stdout } = await run(qemu, ['-L', 'help']);
  const firmware = stdout
    .split('\n')
    .filter(Boolean)
    .flatMap((dir) => FIRMWARE.map((name) => path.resolve(dir, name)));
  const programs = [qemu, setpriv, ...modules];
  const libraries = await Promise.all(programs.map(async (file) => parseLibraries((await run('ldd', [file])).stdout)));
  return [...new Set([...programs, ...libraries.flat(), ...(await present(firmware))])].sort();
}

/** Absolute paths in the loader's list: `libc.so.6 => /lib/…/libc.so.6 (0x…)` and `/lib64/ld-linux-x86-64.so.2 (0x…)`. */
export function parseLibraries(text: string): string[] {
  return [...text.matchAll(/(?:=> |^\s*)(\/\S+) \(0x/gm)].map((match) => match[1]!);
}

/** Whole or not at all: a hostd that dies in between, or one that does the same at the same time, does no harm. */
async function copyTree(files: readonly string[], dir: string): Promise<void> {
  const temporary = `${dir}.${randomBytes(4).toString('hex')}.new`;
  try {
    for (const file of files) {
      const to = path.join(temporary, file);
      await mkdir(path.dirname(to), { recursive: true, mode: 0o755 });
      await copyFile(file, to, constants.COPYFILE_FICLONE);
      await chmod(to, 0o555);
    }
    await rename(temporary, dir);
  } catch (error) {
    if (!isErrno(error, 'ENOTEMPTY') && !isErrno(error, 'EEXIST')) throw error;
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

/** Removes trees of former packages and what a killed hostd left of one. Only for when no machine runs from them. */
export async function pruneTrees(parent: string, keep: JailTree): Promise<void> {
  for (const name of await readdir(parent)) {
    if (name !== path.basename(keep.dir)) await rm(path.join(parent, name), { recursive: true, force: true });
  }
}

async function present(files: readonly string[]): Promise<string[]> {
  const found = await Promise.all(files.map((file) => exists(file)));
  return files.filter((_, index) => found[index]);
}
