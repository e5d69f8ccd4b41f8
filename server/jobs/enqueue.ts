import type { Tx } from '../db.ts';
import { JOBS, type JobName, type JobPayload } from './catalog.ts';

/**
 * Adds a job in the caller's transaction: it exists exactly when the rows it is about do. When one for the same key is
 * already waiting, that one does, and it cannot start before this transaction has ended (see enqueue-function.ts).
 */
export async function enqueue<N extends JobName>(tx: Pick<Tx, '$executeRaw'>, name: N, payload: JobPayload<N>): Promise<void> {
  const { schema, key } = JOBS[name];
  const data = schema.parse(payload) as Record<string, unknown>;
  const singletonKey = key === null ? '' : String(data[key]);
  await tx.$executeRaw`select pgboss.warren_enqueue(${name}, ${JSON.stringify(data)}::jsonb, ${singletonKey})`;
}
