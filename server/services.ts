import { type Clock, systemClock } from './clock.ts';
import { createDb, createSystemDb, type Db, type SystemDb } from './db.ts';
import { type Env, loadEnv } from './env.ts';
import { chooseProvider, type ModelProvider } from './gateway/provider.ts';
import { createHostDirectory, type HostDirectory } from './hosts/host-directory.ts';
import { createLogger, type Logger } from './logger.ts';
import { type Keyring, makeKeyring } from './secrets/keyring.ts';

/** Everything the web process's code is given instead of importing it. */
export type Services = {
  /** Public origin, such as `https://warren.example.com`. */
  url: string;
  forgeDir: string;
  /** Signs what machines may do; see grants.ts. */
  grantSecret: string;
  /** Opens and seals organizations' secrets; see secrets/envelope.ts. */
  keyring: Keyring;
  db: Db;
  systemDb: SystemDb;
  hosts: HostDirectory;
  /** All organizations here trust each other, says the operator. */
  weakIsolationAllowed: boolean;
  models: ModelProvider;
  agentName: string;
  clock: Clock;
  logger: Logger;
};

export const AGENT_NAME = 'codex';

export function createServices(env: Env): Services {
  const logger = createLogger({ service: 'web', level: env.LOG_LEVEL });
  const systemDb = createSystemDb(env.DATABASE_SYSTEM_URL);
  return {
    url: env.WARREN_URL,
    forgeDir: env.FORGE_DIR,
    grantSecret: env.WARREN_GRANT_SECRET,
    keyring: makeKeyring(env.WARREN_SECRETS_KEY, env.WARREN_SECRETS_KEY_PREVIOUS),
    db: createDb(env.DATABASE_URL, {
      onNoticeLost: (err) => logger.warn({ event: 'realtime.notice_lost', err }, 'notice lost'),
    }),
    systemDb,
    hosts: createHostDirectory({
      systemDb,
      urls: [env.HOSTD_URL],
      token: env.HOSTD_TOKEN,
      weakIsolationAllowed: env.WARREN_ALLOW_WEAK_ISOLATION,
      onCall: (call) => logger.debug({ event: 'hostd.call', ...call }, 'hostd call'),
    }),
    weakIsolationAllowed: env.WARREN_ALLOW_WEAK_ISOLATION,
    models: chooseProvider(env),
    agentName: AGENT_NAME,
    clock: systemClock,
    logger,
  };
}

export async function closeServices(services: Services): Promise<void> {
  await Promise.all([services.db.close(), services.systemDb.$disconnect()]);
}

let services: Services | undefined;

/**
 * This module's one set of services, made at first use; only route handlers and server/index.ts call this. Next bundles the
 * routes apart from server/index.ts, so the web process has two sets. They must not be shared: each bundle has its own
 * classes, and an error of one is no `instanceof` the other's.
 */
export function getServices(): Services {
  services ??= createServices(loadEnv());
  return services;
}
