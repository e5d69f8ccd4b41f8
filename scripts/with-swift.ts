import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { freePorts } from '../server/testing/free-ports.ts';

/*
 * Runs a command beside OpenStack Swift with its S3 API: an S3 server of others, to try the object store on. It is on loopback,
 * in a directory that is removed afterwards. It is in Debian: swift-proxy swift-account swift-container swift-object memcached.
 *
 *     npx node scripts/with-swift.ts npx vitest run --project unit hostd/storage/replicas/foreign-s3.test.ts
 */
const REGION = 'us-east-1';
const BUCKET = 'warren';
const credentials = { accessKeyId: 'test:tester', secretAccessKey: 'a-secret-for-tests-only' };
const KINDS = ['account', 'container', 'object'] as const;

async function run(file: string, ...args: string[]): Promise<void> {
  const [code] = (await once(spawn(file, args, { stdio: ['ignore', 'ignore', 'inherit'] }), 'close')) as [number];
  if (code !== 0) throw new Error(`${file} ${args.join(' ')} ended with ${code}`);
}

function section(name: string, values: Record<string, string | number>): string {
  const lines = Object.entries(values).map(([key, value]) => `${key} = ${value}\n`);
  return `[${name}]\n${lines.join('')}`;
}

type Ports = { proxyPort: number; cachePort: number; ports: number[] };

/** Single copies on one device: the smallest that Swift runs as. */
async function configure(dir: string, { proxyPort, cachePort, ports }: Ports): Promise<void> {
  const write = (name: string, sections: string[]) => writeFile(path.join(dir, name), sections.join(''));
  const common = (port: number) => ({
    bind_ip: '127.0.0.1',
    bind_port: port,
    swift_dir: dir,
    user: os.userInfo().username,
    workers: 0,
  });
  await mkdir(path.join(dir, 'devices', 'd1'), { recursive: true });
  await write('swift.conf', [section('swift-hash', { swift_hash_path_suffix: 'test' })]);
  for (const [index, kind] of KINDS.entries()) {
    const port = ports[index]!;
    await write(`${kind}.conf`, [
      section('DEFAULT', { ...common(port), devices: path.join(dir, 'devices'), mount_check: 'false' }),
      section('pipeline:main', { pipeline: `${kind}-server` }),
      section(`app:${kind}-server`, { use: `egg:swift#${kind}` }),
    ]);
    const builder = path.join(dir, `${kind}.builder`);
    await run('swift-ring-builder', builder, 'create', '4', '1', '0');
    await run('swift-ring-builder', builder, 'add', `r1z1-127.0.0.1:${port}/d1`, '1');
    await run('swift-ring-builder', builder, 'rebalance');
  }
  const filters: Record<string, Record<string, string>> = {
    catch_errors: {},
    gatekeeper: {},
    memcache: { memcache_servers: `127.0.0.1:${cachePort}` },
    listing_formats: {},
    s3api: { location: REGION },
    tempauth: { [`user_${credentials.accessKeyId.replace(':', '_')}`]: `${credentials.secretAccessKey} .admin` },
    bulk: {},
    slo: {},
    dlo: {},
    versioned_writes: {},
  };
  await write('proxy.conf', [
    section('DEFAULT', common(proxyPort)),
    section('pipeline:main', { pipeline: [...Object.keys(filters), 'proxy-server'].join(' ') }),
    section('app:proxy-server', { use: 'egg:swift#proxy', account_autocreate: 'true' }),
    ...Object.entries(filters).map(([name, values]) => section(`filter:${name}`, { use: `egg:swift#${name}`, ...values })),
  ]);
}

function startServers(dir: string, cachePort: number): ChildProcess[] {
  const user = os.userInfo().username;
  const swift = ['proxy', ...KINDS].map((kind) => [`swift-${kind}-server`, path.join(dir, `${kind}.conf`), '-v']);
  // Where tempauth keeps its tokens; it refuses to work without.
  const cache = ['memcached', '-l', '127.0.0.1', '-p', String(cachePort), '-u', user];
  const log = openSync(path.join(dir, 'log'), 'a');
  const servers = [cache, ...swift].map(([file, ...args]) =>
    spawn(file!, args, { stdio: ['ignore', log, log] }).on('error', (error) => process.stderr.write(`${error.message}\n`)),
  );
  closeSync(log);
  return servers;
}

async function createBucket(endpoint: string): Promise<void> {
  const client = new S3Client({ region: REGION, endpoint, forcePathStyle: true, credentials, maxAttempts: 1 });
  for (let tries = 30; ; tries -= 1) {
    try {
      return void (await client.send(new CreateBucketCommand({ Bucket: BUCKET })));
    } catch (error) {
      if (tries === 0) throw error;
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }
}

const [file, ...args] = process.argv.slice(2);
if (file === undefined) throw new Error('which command? npx node scripts/with-swift.ts COMMAND…');
const dir = await mkdtemp(path.join(os.tmpdir(), 'warren-swift-'));
let servers: ChildProcess[] = [];
let command: ChildProcess | null = null;
// Ctrl-C reaches the command by itself; this waits for it to end.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => command?.kill());
try {
  const [proxyPort, cachePort, ...ports] = (await freePorts(2 + KINDS.length)) as [number, number, ...number[]];
  await configure(dir, { proxyPort, cachePort, ports });
  servers = startServers(dir, cachePort);
  const endpoint = `http://127.0.0.1:${proxyPort}`;
  await createBucket(endpoint).catch(async (error: unknown) => {
    process.stderr.write((await readFile(path.join(dir, 'log'), 'utf8')).slice(-4000));
    throw error;
  });
  const env = {
    ...process.env,
    AWS_ACCESS_KEY_ID: credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    WARREN_TEST_S3: `s3://${BUCKET}?region=${REGION}&endpoint=${endpoint}`,
  };
  command = spawn(file, args, { stdio: 'inherit', env });
  const [code] = (await once(command, 'close')) as [number | null];
  process.exitCode = code ?? 1;
} finally {
  await Promise.all(
    servers.map(async (server) => {
      if (server.exitCode !== null || server.signalCode !== null || !server.kill()) return;
      await once(server, 'close');
    }),
  );
  await rm(dir, { recursive: true });
}
