import { PgBoss } from 'pg-boss';
import { JOB_HEARTBEAT_SECONDS, JOBS, type JobName } from './catalog.ts';
import { ENQUEUE_FUNCTION_SQL } from './enqueue-function.ts';

export const JOB_SCHEMA = 'pgboss';
// A session may be driven for as long as its agent works; dead workers are found by heartbeat, not by this.
const JOB_SECONDS_MAX = 23 * 60 * 60;
const RETRY_DELAY_SECONDS = 2;

/** A pg-boss over the role warren_system, not yet started. Job names and options come from the catalog. */
export function createBoss(systemUrl: string, options: { supervise: boolean }): PgBoss {
  return new PgBoss({
    connectionString: systemUrl,
    schema: JOB_SCHEMA,
    createSchema: false,
    supervise: options.supervise,
    schedule: options.supervise,
    registerInstance: options.supervise,
    useListenNotify: options.supervise,
    // How soon a dead worker is noticed after its heartbeat ran out.
    monitorIntervalSeconds: 5,
    superviseIntervalSeconds: 5,
    max: 6,
  });
}

/**
 * Creates or updates pg-boss's tables and our queues, and lets the runtime role add jobs but neither read nor change
 * them. Safe to repeat.
 */
export async function prepareQueues(systemUrl: string): Promise<void> {
  const boss = createBoss(systemUrl, { supervise: false });
  await boss.start();
  try {
    for (const name of Object.keys(JOBS) as JobName[]) await prepareQueue(boss, name);
    await boss.getDb().executeSql(ENQUEUE_FUNCTION_SQL);
  } finally {
    await boss.stop({ graceful: false });
  }
}

async function prepareQueue(boss: PgBoss, name: JobName): Promise<void> {
  const options = {
    expireInSeconds: JOB_SECONDS_MAX,
    heartbeatSeconds: JOB_HEARTBEAT_SECONDS,
    retryLimit: JOBS[name].retryLimit,
    retryDelay: RETRY_DELAY_SECONDS,
    retryBackoff: true,
    retryDelayMax: 60,
    notify: true,
  };
  if (await boss.getQueue(name)) await boss.updateQueue(name, options);
  else await boss.createQueue(name, { ...options, policy: 'stately' });
}
