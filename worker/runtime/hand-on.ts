import { withOrg } from '../../server/db.ts';
import { enqueue } from '../../server/jobs/enqueue.ts';
import type { WorkerDeps } from '../deps.ts';

type Heavy = 'run-check' | 'build-template';
type Payload<N extends Heavy> = Parameters<typeof enqueue<N>>[2];

/**
 * Runs a build or a check, until this process is to end: then its job is added anew, which costs none of its tries, and whoever
 * takes that begins again. What still runs here has nothing to say from then on.
 */
export async function handOn<N extends Heavy>(deps: WorkerDeps, name: N, payload: Payload<N>, run: Promise<void>): Promise<void> {
  const { promise: ending, resolve } = Promise.withResolvers<'ending'>();
  const onAbort = () => resolve('ending');
  deps.shutdown.addEventListener('abort', onAbort, { once: true });
  if (deps.shutdown.aborted) onAbort();
  try {
    if ((await Promise.race([run, ending])) !== 'ending') return;
  } catch (error) {
    // What the end of this process broke, such as a wait that it cut short.
    if (!deps.shutdown.aborted) throw error;
  } finally {
    deps.shutdown.removeEventListener('abort', onAbort);
  }
  run.catch(() => {});
  await withOrg(deps.db, payload.orgId, (tx) => enqueue(tx, name, payload));
}
