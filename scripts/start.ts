import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import path from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import type { HostView } from '../hostd/contract/machines.ts';
import { bootstrapDatabase } from '../prisma/bootstrap.ts';
import { migrate } from '../prisma/migrate.ts';
import { listWeaknesses } from '../server/hosts/isolation.ts';
import { type KeptPostgres, keepPostgres } from './keep-postgres.ts';
import { type Part, Supervisor } from './processes.ts';
import { endMachines, putSessionsToSleep, wakeInterrupted } from './rest.ts';
import {
  databasePasswords,
  databaseUrlsOf,
  HOSTD_NODE_OPTIONS,
  hostdEnv,
  hostdOf,
  loadSettings,
  processEnv,
  ROOT,
  type Settings,
} from './settings.ts';
import { hashSources } from './source-hash.ts';
import { runLogged, type StageContext, StageError, stage } from './stage.ts';
import { ensureSystemPackages } from './system-packages.ts';

/*
 * `npm start`: everything between a fresh clone and a usable page, as stages. Nothing here is needed to run Warren on
 * many machines; there each part is started by whatever the operator uses (docs/operations.md).
 */
export type StartOptions = {
  noInstall: boolean;
  seed: boolean;
  /** With which this process ends after Ctrl-C: 0 for `npm start`, where stopping is the wish, 130 for a run that is broken off. */
  interruptedExitCode: 0 | 130;
};
export type Running = {
  settings: Settings;
  demo: { email: string; password: string; orgSlug: string } | null;
  stop: () => Promise<void>;
  untilStopped: Promise<void>;
};

const run = promisify(execFile);
const PART_NAMES = ['hostd', 'web', 'worker'] as const;
const HEALTH_DEADLINE_MS = 120_000;
/** An emulated guest in the middle of its tests, on a busy computer, needs half a minute to be asked what it has not committed. */
const REST_DEADLINE_MS = 120_000;
/** One Ctrl-C may arrive more than once, by way of npm. */
const HURRY_AFTER_MS = 2_000;
const UNMOUNT_DEADLINE_MS = 10_000;
const UNMOUNT_AGAIN_MS = 200;
const WEB_SOURCES = [
  'app',
  'components',
  'server',
  'hostd/contract',
  'prisma/schema.prisma',
  'next.config.js',
  'postcss.config.mjs',
  'package-lock.json',
  'tsconfig.json',
];

async function cached(file: string, hash: string, build: () => Promise<void>): Promise<string> {
  const known = await readFile(file, 'utf8').catch(() => '');
  if (known === hash) return 'cached';
  await build();
  await writeFile(file, hash);
  return '';
}

async function npmRegistry(): Promise<string> {
  return run('npm', ['config', 'get', 'registry']).then(
    ({ stdout }) => stdout.trim(),
    () => 'https://registry.npmjs.org/',
  );
}

async function requireFreePort(port: number, variable: string): Promise<void> {
  const taken = await new Promise<boolean>((resolve) => {
    const socket = createConnection({ host: '127.0.0.1', port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
  if (taken) {
    throw new StageError(`Port ${port} on 127.0.0.1 is in use by another program.`, {
      nextStep: `end that program (ss -ltnp shows it), or choose another port: ${variable}=… npm start`,
    });
  }
}

async function buildWeb(settings: Settings, ctx: StageContext): Promise<string> {
  const hash = await hashSources(ROOT, WEB_SOURCES);
  return cached(path.join(ROOT, '.next', '.warren-sources'), hash, () =>
    runLogged(
      {
        argv: ['next', 'build'],
        cwd: ROOT,
        env: { NODE_ENV: 'production' },
        logPath: path.join(settings.logsDir, 'web-build.log'),
        nextStep: 'mend what the log names, then run npm start again',
      },
      ctx,
    ),
  );
}

async function buildImage(settings: Settings, env: Record<string, string>, ctx: StageContext): Promise<void> {
  await runLogged(
    {
      argv: ['node', path.join('hostd', 'guest', 'image', 'build.ts')],
      cwd: ROOT,
      env,
      logPath: path.join(settings.logsDir, 'image-build.log'),
      nextStep: 'check that Debian packages can be downloaded and that the disk has 4 GB free, then run npm start again',
    },
    ctx,
  );
}

async function prepareDatabase(settings: Settings, ctx: StageContext): Promise<{ postgres: KeptPostgres; remark: string }> {
  ctx.note('starting PostgreSQL');
  const postgres = await keepPostgres({
    dataDir: path.join(settings.dataDir, 'postgres'),
    port: settings.postgresPort,
    password: settings.secrets.postgres,
  }).catch((cause: Error) => {
    throw new StageError(cause.message, {
      nextStep: `if another program holds the port, choose another: WARREN_POSTGRES_PORT=… npm start`,
      cause,
    });
  });
  ctx.note('roles and migrations');
  await bootstrapDatabase(postgres.superuserUrl, {
    databaseName: 'warren',
    passwords: databasePasswords(settings),
  });
  const applied = await migrate(databaseUrlsOf(settings).ownerUrl);
  const remark = [postgres.adopted ? 'was running' : '', applied.length > 0 ? `${applied.length} migrations` : ''];
  return { postgres, remark: remark.filter(Boolean).join(', ') };
}

function partsOf(settings: Settings, made: Record<string, string>, demo: Record<string, string>): Part[] {
  const node = ['node', '--disable-warning=ExperimentalWarning'];
  const env = { ...process.env, ...made };
  return [
    {
      name: 'hostd',
      argv: [...node, ...HOSTD_NODE_OPTIONS, 'hostd/main.ts'],
      env: hostdEnv(env),
      healthUrl: `${hostdOf(settings).url}/v1/host`,
    },
    {
      name: 'web',
      argv: [...node, 'server/index.ts'],
      env: { ...env, ...demo },
      healthUrl: `http://127.0.0.1:${settings.port}/healthz`,
    },
    { name: 'worker', argv: [...node, 'worker/main.ts'], env, healthUrl: null },
  ];
}

async function startParts(supervisor: Supervisor, parts: Part[], ctx: StageContext): Promise<void> {
  for (const part of parts) {
    ctx.note(part.name);
    await supervisor.start(part);
  }
  for (const part of parts) {
    ctx.note(`waiting for ${part.name}`);
    if (await supervisor.untilHealthy(part, HEALTH_DEADLINE_MS)) continue;
    const logPath = supervisor.logFile(part.name);
    const tail = await readFile(logPath, 'utf8').then(
      (text) => text.trimEnd().split('\n').slice(-15).join('\n'),
      () => '',
    );
    throw new StageError(`${part.name} did not answer within ${HEALTH_DEADLINE_MS / 1000} s.`, {
      logPath,
      tail,
      nextStep: 'see the log',
    });
  }
}

async function describeHost(settings: Settings): Promise<HostView> {
  const { url, token } = hostdOf(settings);
  const reply = await fetch(`${url}/v1/host`, { headers: { authorization: `Bearer ${token}` } });
  const body = (await reply.json()) as { value: HostView };
  return body.value;
}

/** Brings everything up and resolves once the page is usable. */
export async function startWarren(options: StartOptions): Promise<Running> {
  const startedAt = performance.now();
  const settings = await loadSettings();
  const env = processEnv(settings, await npmRegistry());
  const supervisor = new Supervisor({
    runDir: settings.runDir,
    logsDir: settings.logsDir,
    cwd: ROOT,
    onExit: (name, how) => console.log(`  ! ${name} ${how}; starting it again (log: ${supervisor.logFile(name)})`),
  });
  const other = await supervisor.otherSupervisor();
  if (other !== null) {
    throw new StageError(`Warren is already running here (process ${other}).`, {
      nextStep: `open ${settings.url}, or end that process first`,
    });
  }

  let postgres: KeptPostgres | null = null;
  let partsStarted = false;
  const hurry = new AbortController();
  const stop = async () => {
    if (partsStarted) await rest(settings, env, hurry.signal);
    await supervisor.stop();
    await postgres?.stop().catch(() => {});
    await unmountMachines(path.join(settings.dataDir, 'hostd'));
  };
  let resolveStopped = () => {};
  const untilStopped = new Promise<void>((resolve) => {
    resolveStopped = resolve;
  });
  let stopping: Promise<void> | null = null;
  let stoppingSince = 0;
  const stopOnce = () => {
    stopping ??= stop().finally(resolveStopped);
    return stopping;
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (stopping) {
        if (signal === 'SIGINT' && performance.now() - stoppingSince > HURRY_AFTER_MS) hurry.abort();
        return;
      }
      stoppingSince = performance.now();
      console.log('\n  Stopping …');
      void stopOnce().then(() => {
        console.log('  Stopped.');
        process.exit(options.interruptedExitCode);
      });
    });
  }

  try {
    await stage('system packages', (ctx) =>
      ensureSystemPackages({ forTests: false, noInstall: options.noInstall, root: ROOT, logsDir: settings.logsDir }, ctx),
    );
    const left = await supervisor.takeOver(PART_NAMES);
    if (left.length > 0) console.log(`  ✓ ended what an earlier run left: ${left.join(', ')}`);
    await requireFreePort(settings.port, 'WARREN_PORT');
    await requireFreePort(settings.internalPort, 'WARREN_INTERNAL_PORT');
    await requireFreePort(settings.hostdPort, 'HOSTD_PORT');
    await stage('database', async (ctx) => {
      const prepared = await prepareDatabase(settings, ctx);
      postgres = prepared.postgres;
      postgres.onTrouble((what) => console.log(`  ! ${what}`));
      return prepared.remark;
    });
    await stage('guest image', (ctx) => buildImage(settings, env, ctx));
    await stage('web app', (ctx) => buildWeb(settings, ctx));
    const seed = options.seed ? await import('../prisma/seed.ts') : null;
    await stage('hostd, web and worker', (ctx) =>
      startParts(supervisor, partsOf(settings, env, seed ? { WARREN_DEMO_EMAIL: seed.DEMO.email } : {}), ctx),
    );
    partsStarted = true;
    const woken = await wakeInterrupted(env.DATABASE_URL as string, settings.runDir);
    if (woken > 0) console.log(`  ✓ waking ${countOf(woken)} that the last stop interrupted`);
    let demo: Running['demo'] = null;
    if (seed) {
      await stage('demo organization', async () => {
        demo = await seed.seedDemo({
          databaseUrl: env.DATABASE_URL as string,
          forgeDir: env.FORGE_DIR as string,
          password: settings.secrets.demoPassword,
        });
      });
    }
    const host = await describeHost(settings);
    const weakAllowed = z.stringbool().parse(env.WARREN_ALLOW_WEAK_ISOLATION);
    printReady(settings, { demo, host, weakAllowed, elapsedMs: performance.now() - startedAt });
    return { settings, demo, stop: stopOnce, untilStopped };
  } catch (cause) {
    await stopOnce();
    throw cause;
  }
}

/** hostd may have mounted a file system of its own on its directory; a clone must be removable once Warren is stopped. */
async function unmountMachines(dir: string): Promise<void> {
  const mounts = await readFile('/proc/mounts', 'utf8').catch(() => '');
  if (!mounts.includes(` ${dir} xfs `)) return;
  // The kernel takes the mounts of a machine's jail apart a moment after its last process is gone.
  for (const deadline = performance.now() + UNMOUNT_DEADLINE_MS; ; ) {
    const failure = await run('umount', [dir]).then(
      () => null,
      (cause: unknown) => (cause instanceof Error ? cause.message : String(cause)),
    );
    if (failure === null) return;
    if (performance.now() > deadline) return console.log(`  ! ${dir} stays mounted: ${failure.trim()}`);
    await new Promise((resolve) => setTimeout(resolve, UNMOUNT_AGAIN_MS));
  }
}

const countOf = (sessions: number) => `${sessions} ${sessions === 1 ? 'session' : 'sessions'}`;

/** Best effort: what does not come to rest in time is adopted by the next start. */
async function rest(settings: Settings, env: Record<string, string>, hurry: AbortSignal): Promise<void> {
  const urls = { databaseUrl: env.DATABASE_URL as string, systemUrl: env.DATABASE_SYSTEM_URL as string };
  try {
    const onWait = (sessions: number) =>
      console.log(`  … putting ${countOf(sessions)} to sleep; Ctrl-C again leaves machines running until the next start`);
    const awake = await putSessionsToSleep(urls, settings.runDir, { deadlineMs: REST_DEADLINE_MS, hurry, onWait });
    if (awake > 0) return console.log(`  ! ${countOf(awake)} not asleep yet; machines run on until the next start takes them up`);
    await endMachines({ url: env.HOSTD_URL as string, token: env.HOSTD_TOKEN as string });
  } catch (cause) {
    console.log(`  ! sessions could not be put to sleep: ${cause instanceof Error ? cause.message : cause}`);
  }
}

type Ready = { demo: Running['demo']; host: HostView; weakAllowed: boolean; elapsedMs: number };

function printReady(settings: Settings, { demo, host, weakAllowed, elapsedMs }: Ready): void {
  const lines = [
    '',
    `  Warren is ready after ${(elapsedMs / 1000).toFixed(0)} s`,
    '',
    `    open         ${settings.url}`,
    ...(demo ? [`    sign in      ${demo.email}  ${demo.password}`] : []),
    `    machines     ${host.accelerator === 'kvm' ? 'KVM' : 'TCG (emulation: 10 to 30 times slower)'}: ${host.acceleratorReason}`,
    ...(process.env.OPENAI_API_KEY
      ? [`    models       ${process.env.OPENAI_BASE_URL || 'OpenAI'}`]
      : [
          '    models       scripted demo model (set OPENAI_API_KEY, and OPENAI_BASE_URL for a compatible endpoint, for a real one)',
        ]),
    ...describeWeakness(host, weakAllowed),
    '    stop         Ctrl-C',
    '',
  ];
  console.log(lines.join('\n'));
}

/** Says that organizations are not kept apart here, and that this was allowed; nothing on a computer that keeps them apart. */
function describeWeakness(host: HostView, isAllowed: boolean): string[] {
  const reasons = listWeaknesses(host);
  if (reasons.length === 0) return [];
  return [
    `    isolation    ${isAllowed ? 'WEAK: for evaluation only, do not run code here that you do not trust' : 'weak: one organization only'}`,
    ...reasons.map((reason) => `                 ${reason}`),
    `                 npm run doctor says what would mend it${isAllowed ? '; WARREN_ALLOW_WEAK_ISOLATION=false refuses a second organization' : ''}`,
  ];
}
