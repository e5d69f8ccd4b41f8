import type { JobWithMetadata, PgBoss } from 'pg-boss';
import { finishCheck } from '../../server/checks/finish-check.ts';
import { withOrg } from '../../server/db.ts';
import { JOB_HEARTBEAT_SECONDS, JOBS, type JobName, type JobPayload } from '../../server/jobs/catalog.ts';
import { erroredOutcome, runCheck } from '../checks/run-check.ts';
import type { WorkerDeps } from '../deps.ts';
import { applyEgress } from '../machines/apply-egress.ts';
import { pruneEgress } from '../reap/prune-egress.ts';
import { pruneFrames } from '../reap/prune-frames.ts';
import { reap } from '../reap/reap.ts';
import { driveSession } from '../sessions/drive-session.ts';
import { buildTemplate, settleTemplateFailure } from '../templates/build-template.ts';
import { handOn } from './hand-on.ts';

type Handlers = { [N in JobName]: { concurrency: number; run: (payload: JobPayload<N>, isLastTry: boolean) => Promise<void> } };

/** What this process does for each kind of job, and how many of it at once. Builds and checks are heavy: one each. */
function handlers(deps: WorkerDeps, sessionsMax: number): Handlers {
  return {
    'drive-session': { concurrency: sessionsMax, run: (ref) => driveSession(deps, ref) },
    'build-template': {
      concurrency: 1,
      run: async (ref, isLastTry) => {
        await handOn(deps, 'build-template', ref, buildTemplate(deps, ref)).catch(async (error: unknown) => {
          if (!isLastTry) throw error;
          const { orgId, templateId: id } = ref;
          const { repositoryId } = await withOrg(deps.db, orgId, (tx) => tx.template.findUniqueOrThrow({ where: { id } }));
          await settleTemplateFailure(deps, { id, orgId, repositoryId }, error);
        });
      },
    },
    'run-check': {
      concurrency: 1,
      run: async (ref, isLastTry) => {
        await handOn(deps, 'run-check', ref, runCheck(deps, ref)).catch(async (error: unknown) => {
          if (!isLastTry) throw error;
          await finishCheck(deps.db, { ...ref, outcome: erroredOutcome(error), now: deps.clock.now() });
        });
      },
    },
    'apply-egress': { concurrency: 2, run: ({ orgId }) => applyEgress(deps, orgId) },
    'prune-egress': { concurrency: 1, run: () => pruneEgress(deps) },
    'prune-frames': { concurrency: 1, run: () => pruneFrames(deps) },
    reap: { concurrency: 1, run: () => reap(deps) },
  };
}

export type JobCounts = Record<JobName, { running: number; done: number; failed: number }>;

/** Starts claiming jobs. Counts are for the health line. */
export async function runJobs(boss: PgBoss, deps: WorkerDeps, { sessionsMax }: { sessionsMax: number }): Promise<JobCounts> {
  const counts = Object.fromEntries(Object.keys(JOBS).map((name) => [name, { running: 0, done: 0, failed: 0 }])) as JobCounts;
  const all = handlers(deps, sessionsMax);
  for (const name of Object.keys(JOBS) as JobName[]) await startQueue(boss, deps, name, all, counts);
  await boss.schedule('reap', '* * * * *', {}, {});
  await boss.schedule('prune-egress', '17 * * * *', {}, {});
  await boss.schedule('prune-frames', '37 * * * *', {}, {});
  return counts;
}

/** Claims no more. What runs goes on: without this, whoever hands on takes back what it just handed on. */
export async function stopClaiming(boss: PgBoss): Promise<void> {
  await Promise.all(Object.keys(JOBS).map((name) => boss.offWork(name, { wait: false })));
}

async function startQueue<N extends JobName>(
  boss: PgBoss,
  deps: WorkerDeps,
  name: N,
  all: Handlers,
  counts: JobCounts,
): Promise<void> {
  const { concurrency, run } = all[name];
  const options = {
    localConcurrency: concurrency,
    batchSize: 1,
    includeMetadata: true as const,
    pollingIntervalSeconds: 2,
    // A job that waited behind another of its key is not announced when that one ends.
    notifyPollingIntervalSeconds: 5,
    heartbeatRefreshSeconds: JOB_HEARTBEAT_SECONDS / 3,
  };
  await boss.work<JobPayload<N>, void, typeof options>(name, options, async ([job]: JobWithMetadata<JobPayload<N>>[]) => {
    if (!job) return;
    const startedAt = performance.now();
    const log = deps.log.child({ job: name, jobId: job.id, ...job.data });
    counts[name].running += 1;
    try {
      await run(JOBS[name].schema.parse(job.data) as JobPayload<N>, job.retryCount >= job.retryLimit);
      counts[name].done += 1;
      const level = name === 'reap' ? 'debug' : 'info';
      log[level]({ event: 'job.done', try: job.retryCount, durationMs: Math.round(performance.now() - startedAt) }, 'job done');
    } catch (error) {
      counts[name].failed += 1;
      log.error(
        { event: 'job.failed', try: job.retryCount, durationMs: Math.round(performance.now() - startedAt), err: error },
        'job failed',
      );
      throw error;
    } finally {
      counts[name].running -= 1;
    }
  });
}
