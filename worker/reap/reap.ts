import type { Logger } from '../../server/logger.ts';
import type { WorkerDeps } from '../deps.ts';
import { reapCopies } from './reap-copies.ts';
import { reapMachines } from './reap-machines.ts';
import { reapSessions } from './reap-sessions.ts';
import { reapSnapshots } from './reap-snapshots.ts';
import { reapWork } from './reap-work.ts';
import { rewrapKeys } from './rewrap-keys.ts';

/**
 * What nobody is looking after, once a minute: the database is the truth, hosts' listings only show what was lost or
 * left over. Each part stands alone; one that fails is tried again next time.
 */
export async function reap(deps: WorkerDeps): Promise<void> {
  await part(deps.log, 'heartbeat', () => deps.hosts.heartbeat(deps.clock.now()));
  await part(deps.log, 'sessions', () => reapSessions(deps));
  await part(deps.log, 'work', () => reapWork(deps));
  await part(deps.log, 'machines', () => reapMachines(deps));
  await part(deps.log, 'snapshots', () => reapSnapshots(deps));
  await part(deps.log, 'data keys', () => rewrapKeys(deps));
  await part(deps.log, 'copies', () => reapCopies(deps));
}

async function part(log: Logger, name: string, run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch (error) {
    log.warn({ event: 'reap.failed', part: name, err: error }, 'part of the sweep failed');
  }
}
