import { spawn } from 'node:child_process';
import { readdir, readFile, rm, stat } from 'node:fs/promises';
import path from 'node:path';

/*
 * The tools that one would otherwise store snapshots with, from Debian, each with the settings its documentation names for
 * speed on local disks, all on the same files. restic and borg encrypt, as we do; casync cannot.
 */
export type Ran = { ms: number; rssMiB: number };
export type Command = { argv: [string, ...string[]]; env?: Record<string, string>; cwd?: string };
export type Peer = {
  name: string;
  version: string[];
  init: (repository: string) => Command;
  /** Stores everything below `dir` as `snapshot`. */
  store: (repository: string, dir: string, snapshot: string) => Command;
  /** @param into an empty directory */
  restore: (repository: string, snapshot: string, into: string) => Command;
};

/** A tool that was ended because it took longer than it may. */
export class TookTooLong extends Error {
  override readonly name = 'TookTooLong';
}

const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** @throws TookTooLong after `limitMs`, an AbortError at `signal`, else with the end of its output when it fails */
export function run({ argv, env, cwd = '/' }: Command, limitMs: number, signal: AbortSignal): Promise<Ran> {
  const [file, ...args] = argv;
  const startedAt = performance.now();
  const child = spawn(file, args, {
    cwd,
    env: { PATH: SYSTEM_PATH, HOME: '/nonexistent', LC_ALL: 'C.UTF-8', NODE_ENV: 'production', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: Math.max(1, Math.round(limitMs)),
    killSignal: 'SIGKILL',
    signal,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk) => {
      output = (output + String(chunk)).slice(-4000);
    });
  let rssMiB = 0;
  const look = setInterval(() => {
    readFile(`/proc/${child.pid}/status`, 'utf8').then(
      (text) => {
        rssMiB = Math.max(rssMiB, Number(/^VmHWM:\s+(\d+) kB/m.exec(text)?.[1] ?? 0) / 1024);
      },
      () => undefined,
    );
  }, 50);
  return new Promise((resolve, reject) => {
    child.once('error', (error) => {
      clearInterval(look);
      reject(error);
    });
    child.once('close', (code) => {
      clearInterval(look);
      const ms = performance.now() - startedAt;
      if (code === 0) resolve({ ms, rssMiB: Math.round(rssMiB) });
      else if (child.killed) reject(new TookTooLong(`${argv.join(' ')} did not end in ${Math.round(ms / 1000)} s`));
      else reject(new Error(`${argv.join(' ')} ended with ${code}: ${output}`));
    });
  });
}

const restic = (repository: string) => ({
  RESTIC_PASSWORD: 'for figures only',
  RESTIC_REPOSITORY: repository,
  RESTIC_CACHE_DIR: `${repository}.cache`,
});
const borg = (repository: string) => ({ BORG_PASSPHRASE: 'for figures only', BORG_BASE_DIR: `${repository}.cache` });

export const PEERS: readonly Peer[] = [
  {
    name: 'restic',
    version: ['restic', 'version'],
    init: (repository) => ({ argv: ['restic', 'init', '--repository-version', '2'], env: restic(repository) }),
    store: (repository, dir, snapshot) => ({
      argv: ['restic', 'backup', '-q', '--force', '--tag', snapshot, '.'],
      env: restic(repository),
      cwd: dir,
    }),
    restore: (repository, snapshot, into) => ({
      argv: ['restic', 'restore', '-q', 'latest', '--tag', snapshot, '--target', into],
      env: restic(repository),
    }),
  },
  {
    name: 'borg',
    version: ['borg', '--version'],
    init: (repository) => ({ argv: ['borg', 'init', '-e', 'repokey-blake2', repository], env: borg(repository) }),
    store: (repository, dir, snapshot) => ({
      argv: ['borg', 'create', '-C', 'zstd,1', '--files-cache=disabled', `${repository}::${snapshot}`, '.'],
      env: borg(repository),
      cwd: dir,
    }),
    restore: (repository, snapshot, into) => ({
      argv: ['borg', 'extract', '--sparse', `${repository}::${snapshot}`],
      env: borg(repository),
      cwd: into,
    }),
  },
  {
    name: 'casync',
    version: ['casync', '--version'],
    init: (repository) => ({ argv: ['mkdir', repository] }),
    store: (repository, dir, snapshot) => ({
      argv: [
        ...(['casync', 'make', '--compression=zstd', `--store=${repository}/store`, '--without=all'] as const),
        ...[`${repository}/${snapshot}.caidx`, dir],
      ],
    }),
    restore: (repository, snapshot, into) => ({
      argv: ['casync', 'extract', `--store=${repository}/store`, '--without=all', `${repository}/${snapshot}.caidx`, into],
    }),
  },
];

/** Bytes of every file below a directory, as they are long: indexes, manifests and all. */
export async function bytesBelow(dir: string): Promise<number> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  const sizes = await Promise.all(
    entries
      .filter((entry) => entry.isFile())
      .map((entry) => stat(path.join(entry.parentPath, entry.name)).then(({ size }) => size)),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

export async function removeAll(...paths: string[]): Promise<void> {
  for (const each of paths) await rm(each, { recursive: true, force: true });
}
