import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type DatabasePasswords, type DatabaseUrls, databaseUrls } from '../prisma/database-urls.ts';

/*
 * What one computer's Warren needs to know of itself: ports, directories, and secrets made up once and kept in
 * <data>/settings.json (mode 0600). Anything set in the environment wins.
 */
export const ROOT = path.resolve(import.meta.dirname, '..');

export type Settings = {
  dataDir: string;
  logsDir: string;
  runDir: string;
  port: number;
  internalPort: number;
  hostdPort: number;
  postgresPort: number;
  url: string;
  secrets: Secrets;
};

const SECRET_NAMES = [
  'postgres',
  'databaseOwner',
  'databaseApp',
  'databaseSystem',
  'nextauth',
  'grant',
  'secretsKey',
  'hostd',
  'store',
  'demoPassword',
] as const;
type Secrets = Record<(typeof SECRET_NAMES)[number], string>;

async function loadSecrets(dataDir: string): Promise<Secrets> {
  const file = path.join(dataDir, 'settings.json');
  const stored = await readFile(file, 'utf8').then(
    (text) => JSON.parse(text) as Partial<Secrets>,
    () => ({}) as Partial<Secrets>,
  );
  const secrets = Object.fromEntries(
    SECRET_NAMES.map((name) => [name, stored[name] ?? randomBytes(name === 'demoPassword' ? 9 : 24).toString('base64url')]),
  ) as Secrets;
  if (SECRET_NAMES.some((name) => stored[name] === undefined)) {
    await writeFile(`${file}.new`, `${JSON.stringify(secrets, null, 2)}\n`, { mode: 0o600 });
    await rename(`${file}.new`, file);
  }
  return secrets;
}

function portFrom(name: string, fallback: number): number {
  const value = process.env[name];
  if (!value) return fallback;
  const port = Number(value);
  if (!Number.isInteger(port) || port < 1 || port > 65535)
    throw new Error(`${name}=${value} is not a port: give a number from 1 to 65535`);
  return port;
}

/** Reads or makes the settings; creates the data directories. */
export async function loadSettings(): Promise<Settings> {
  const dataDir = path.resolve(process.env.WARREN_DATA_DIR || path.join(ROOT, '.warren'));
  const logsDir = path.join(dataDir, 'logs');
  const runDir = path.join(dataDir, 'run');
  for (const dir of [dataDir, logsDir, runDir]) await mkdir(dir, { recursive: true });
  const port = portFrom('WARREN_PORT', 7400);
  return {
    dataDir,
    logsDir,
    runDir,
    port,
    internalPort: portFrom('WARREN_INTERNAL_PORT', port + 1),
    hostdPort: portFrom('HOSTD_PORT', port + 2),
    postgresPort: portFrom('WARREN_POSTGRES_PORT', port + 3),
    url: process.env.WARREN_URL || `http://localhost:${port}`,
    secrets: await loadSecrets(dataDir),
  };
}

/** Where this installation's hostd answers, and what it wants to hear. */
export function hostdOf({ hostdPort, secrets }: Settings): { url: string; token: string } {
  return { url: `http://127.0.0.1:${hostdPort}`, token: secrets.hostd };
}

export function databasePasswords({ secrets }: Settings): DatabasePasswords {
  return { owner: secrets.databaseOwner, app: secrets.databaseApp, system: secrets.databaseSystem };
}

/** Connection strings of Warren's roles on the embedded PostgreSQL. */
export function databaseUrlsOf(settings: Settings): DatabaseUrls {
  const superuserUrl = `postgresql://127.0.0.1:${settings.postgresPort}/postgres`;
  return databaseUrls(superuserUrl, { databaseName: 'warren', passwords: databasePasswords(settings) });
}

/** glibc's own first value (mallopt(3)); that it is set is what keeps it from growing. */
const MALLOC_THRESHOLD_BYTES = String(128 * 1024);

/**
 * Keeps a long-lived Node process small and quick to start. Compiled code is kept beside the data, and TypeScript with its types
 * taken out, so that nothing has to be parsed, nor the parser loaded, again: 42 MiB of hostd's 186. glibc's heap per thread is
 * bounded, which Node's thread pool otherwise multiplies, and glibc is kept from raising, after the first large piece that is
 * freed, the size from which on it gives memory back to the kernel: some 40 MiB more.
 */
export function leanNode(dataDir: string): Record<string, string> {
  return {
    NODE_COMPILE_CACHE: path.join(dataDir, 'compile-cache'),
    MALLOC_ARENA_MAX: '2',
    MALLOC_MMAP_THRESHOLD_: MALLOC_THRESHOLD_BYTES,
    MALLOC_TRIM_THRESHOLD_: MALLOC_THRESHOLD_BYTES,
  };
}

/** The environment every process of this installation gets; what the person set already wins. */
export function processEnv(settings: Settings, npmRegistry: string): Record<string, string> {
  const { secrets } = settings;
  const urls = databaseUrlsOf(settings);
  const hostd = hostdOf(settings);
  const made: Record<string, string> = {
    NODE_ENV: 'production',
    WARREN_DATA_DIR: settings.dataDir,
    WARREN_PORT: String(settings.port),
    WARREN_URL: settings.url,
    WARREN_INTERNAL_PORT: String(settings.internalPort),
    NEXTAUTH_URL: settings.url,
    NEXTAUTH_SECRET: secrets.nextauth,
    WARREN_GRANT_SECRET: secrets.grant,
    WARREN_SECRETS_KEY: secrets.secretsKey,
    DATABASE_URL: urls.appUrl,
    DATABASE_SYSTEM_URL: urls.systemUrl,
    WARREN_STORE_SECRET: secrets.store,
    HOSTD_URL: hostd.url,
    HOSTD_TOKEN: hostd.token,
    HOSTD_PORT: String(settings.hostdPort),
    HOSTD_DATA_DIR: path.join(settings.dataDir, 'hostd'),
    HOSTD_NPM_UPSTREAM: npmRegistry,
    FORGE_DIR: path.join(settings.dataDir, 'forge'),
    NEXT_TELEMETRY_DISABLED: '1',
    ...leanNode(settings.dataDir),
    // One computer is for trying out: announced on the console and on every page wherever it makes a difference.
    WARREN_ALLOW_WEAK_ISOLATION: 'true',
  };
  const set = Object.entries(process.env).filter(([name, value]) => name in made && value) as [string, string][];
  return { ...made, ...Object.fromEntries(set) };
}

/** Garbage is collected sooner: between bursts hostd does next to nothing, and what it once took it would keep. */
export const HOSTD_NODE_OPTIONS = ['--max-semi-space-size=2'];

/** What is for the control plane alone. hostd lives beside hostile guests and has no use for it. */
const NOT_FOR_HOSTD = /^(DATABASE_|NEXTAUTH_|WARREN_|OPENAI_|GITHUB_|STRIPE_)/;

/** The same environment without the control plane's secrets. */
export function hostdEnv(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !NOT_FOR_HOSTD.test(name))) as NodeJS.ProcessEnv;
}
