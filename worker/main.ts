import { systemClock } from '../server/clock.ts';
import { createDb, createSystemDb } from '../server/db.ts';
import { createHostDirectory } from '../server/hosts/host-directory.ts';
import { createBoss } from '../server/jobs/queue.ts';
import { createLogger } from '../server/logger.ts';
import { makeKeyring } from '../server/secrets/keyring.ts';
import { codexAgent } from './agents/codex.ts';
import { PATIENCE, type WorkerDeps } from './deps.ts';
import { followEgress } from './egress/follow-egress.ts';
import { loadEnv } from './env.ts';
import { followNotices } from './runtime/follow-notices.ts';
import { runJobs, stopClaiming } from './runtime/run-jobs.ts';
import { SessionSignals } from './runtime/session-signals.ts';

/*
 * Composition root of the worker: any number may run. It is crash-only: everything it knows is in the database, so being
 * killed needs no preparation. A polite end only hands its sessions on at once instead of when its heartbeat runs out.
 */
const HEALTH_MS = 60_000;
const SHUTDOWN_MS_MAX = 5_000;

const env = loadEnv();
const log = createLogger({ service: 'worker', level: env.LOG_LEVEL });
const db = createDb(env.DATABASE_URL);
const systemDb = createSystemDb(env.DATABASE_SYSTEM_URL);
const signals = new SessionSignals();
const notices = followNotices(env.DATABASE_URL, signals, log);
const shutdown = new AbortController();

const deps: WorkerDeps = {
  db,
  systemDb,
  hosts: createHostDirectory({
    systemDb,
    urls: [env.HOSTD_URL],
    token: env.HOSTD_TOKEN,
    weakIsolationAllowed: env.WARREN_ALLOW_WEAK_ISOLATION,
    onCall: (call) => log.debug({ event: 'hostd.call', ...call }, 'hostd call'),
  }),
  signals,
  clock: systemClock,
  startedAt: systemClock.now(),
  log,
  agent: codexAgent(env.model),
  forgeDir: env.FORGE_DIR,
  grantSecret: env.WARREN_GRANT_SECRET,
  keyring: makeKeyring(env.WARREN_SECRETS_KEY, env.WARREN_SECRETS_KEY_PREVIOUS),
  storeSecrets: env.WARREN_STORE_SECRET,
  internalUrl: `http://127.0.0.1:${env.WARREN_INTERNAL_PORT}`,
  patience: { ...PATIENCE, agentSilenceMs: env.WARREN_AGENT_SILENCE_MS },
  shutdown: shutdown.signal,
};

const boss = createBoss(env.DATABASE_SYSTEM_URL, { supervise: true });
boss.on('error', (error) => log.error({ event: 'queue.error', err: error }, 'queue error'));
await boss.start();
const jobs = await runJobs(boss, deps, { sessionsMax: env.WARREN_SESSIONS_MAX });
await deps.hosts
  .heartbeat(new Date())
  .catch((error: unknown) => log.warn({ event: 'host.silent', err: error }, 'no host answers yet'));
const following = followEgress(deps);
const health = setInterval(
  () => log.info({ event: 'worker.health', jobs, rssMiB: Math.round(process.memoryUsage.rss() / 2 ** 20) }, 'alive'),
  HEALTH_MS,
);
log.info({ event: 'worker.ready', model: env.model.name, host: env.HOSTD_URL }, 'worker ready');

let ending: Promise<void> | null = null;
function end(signal: string): Promise<void> {
  ending ??= (async () => {
    log.info({ event: 'worker.ending', signal }, 'handing sessions on');
    clearInterval(health);
    setTimeout(() => process.exit(0), SHUTDOWN_MS_MAX).unref();
    await stopClaiming(boss);
    shutdown.abort();
    await boss.stop({ graceful: true, timeout: SHUTDOWN_MS_MAX - 1000 }).catch(() => {});
    await Promise.all([notices.close(), following]);
    await Promise.all([db.close(), systemDb.$disconnect()]);
    process.exit(0);
  })();
  return ending;
}
process.on('SIGTERM', () => void end('SIGTERM'));
process.on('SIGINT', () => void end('SIGINT'));
// Whatever could not be caught: start anew rather than go on in an unknown state.
process.on('unhandledRejection', (error) => {
  log.fatal({ event: 'worker.unhandled', err: error }, 'unhandled rejection');
  process.exit(1);
});
