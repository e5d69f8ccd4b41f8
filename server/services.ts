import { type Clock, systemClock } from './clock.ts';
import { createDb, createSystemDb, type Db, type SystemDb } from './db.ts';
import { type Env, loadEnv } from './env.ts';
import { createHostDirectory, type HostDirectory } from './hosts/host-directory.ts';
import { createLogger, type Logger } from './logger.ts';

/** What every session of this installation talks to. */
export type ModelChoice = {
  provider: 'openai' | 'demo';
  name: string;
  /** The scripted model; shown wherever it is used. */
  scripted: boolean;
};

/** Everything the web process's code is given instead of importing it. */
export type Services = {
  /** Public origin, such as `https://warren.example.com`. */
  url: string;
  forgeDir: string;
  db: Db;
  systemDb: SystemDb;
  hosts: HostDirectory;
  model: ModelChoice;
  agentName: string;
  clock: Clock;
  log: Logger;
};

export const AGENT_NAME = 'codex';

export function chooseModel(env: Pick<Env, 'OPENAI_API_KEY' | 'WARREN_MODEL'>): ModelChoice {
  if (env.OPENAI_API_KEY) return { provider: 'openai', name: env.WARREN_MODEL, scripted: false };
  return { provider: 'demo', name: 'demo', scripted: true };
}

export function createServices(env: Env): Services {
  const log = createLogger({ service: 'web', level: env.LOG_LEVEL });
  const systemDb = createSystemDb(env.DATABASE_SYSTEM_URL);
  return {
    url: env.WARREN_URL,
    forgeDir: env.FORGE_DIR,
    db: createDb(env.DATABASE_URL),
    systemDb,
    hosts: createHostDirectory({
      systemDb,
      urls: [env.HOSTD_URL],
      token: env.HOSTD_TOKEN,
      onCall: (call) => log.debug({ event: 'hostd.call', ...call }, 'hostd call'),
    }),
    model: chooseModel(env),
    agentName: AGENT_NAME,
    clock: systemClock,
    log,
  };
}

export async function closeServices(services: Services): Promise<void> {
  await Promise.all([services.db.close(), services.systemDb.$disconnect()]);
}

const shared = globalThis as { warrenServices?: Services };

/**
 * The web process's one set of services, made at first use. Next bundles the routes apart from server/index.ts, so a module
 * variable would exist twice; the global object does not. Only route handlers and server/index.ts call this.
 */
export function getServices(): Services {
  shared.warrenServices ??= createServices(loadEnv());
  return shared.warrenServices;
}
