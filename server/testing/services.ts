import type { HostClient } from '../hosts/host-client.ts';
import { HostError } from '../hosts/host-error.ts';
import { createLogger } from '../logger.ts';
import { makeKeyring } from '../secrets/keyring.ts';
import type { Services } from '../services.ts';
import type { TestDatabase } from './database.ts';

export const TEST_URL = 'http://warren.test';

/** Services over a test database: silent, scripted, and with no machine host unless one is given. */
export function testServices({ db, systemDb }: TestDatabase, set: Partial<Services> & { host?: HostClient } = {}): Services {
  const { host, ...rest } = set;
  const noHost = () => Promise.reject(new HostError({ code: 'unreachable', message: 'there is no host in this test' }));
  return {
    url: TEST_URL,
    forgeDir: '/nonexistent',
    grantSecret: 'a secret for tests only, of no other use',
    keyring: makeKeyring('the-key-of-the-tests-0123456789abcdef'),
    db,
    systemDb,
    hosts: {
      place: async ({ memoryMiB: _ }) => (host ? { hostId: 'hst_00000000000000000000', client: host } : noHost()),
      client: async () => host ?? noHost(),
      requireNeighbourly: async () => {},
      heartbeat: async () => {},
    },
    weakIsolationAllowed: true,
    models: { kind: 'demo', model: 'warren-demo' },
    agentName: 'codex',
    clock: { now: () => new Date() },
    logger: createLogger({ service: 'test', level: 'silent' }),
    ...rest,
  };
}
