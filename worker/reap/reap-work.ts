import { finishCheck } from '../../server/checks/finish-check.ts';
import { erroredOutcome } from '../checks/run-check.ts';
import type { WorkerDeps } from '../deps.ts';
import { StepError } from '../sessions/driver.ts';
import { settleTemplateFailure } from '../templates/build-template.ts';

/** Builds and checks whose job is gone, its tries used up by workers that died: they get an end that people can see. */
export async function reapWork(deps: WorkerDeps): Promise<void> {
  const jobs = await deps.systemDb.$queryRaw<{ singleton_key: string }[]>`
    select singleton_key from pgboss.job
    where name in ('build-template', 'run-check') and state in ('created', 'retry', 'active')`;
  const keys = new Set(jobs.map(({ singleton_key }) => singleton_key));
  const died = new StepError(
    'Its worker died',
    'Every try ended with the worker that made it.',
    'Start it again; the worker’s log has the details.',
  );

  const building = await deps.systemDb.template.findMany({
    where: { state: 'building' },
    select: { id: true, orgId: true, repositoryId: true },
  });
  for (const template of building) if (!keys.has(template.id)) await settleTemplateFailure(deps, template, died);

  const checks = await deps.systemDb.check.findMany({
    // Not `in`: of a list of enums PostgreSQL expects so many rows that it reads them all.
    where: { OR: [{ state: 'queued' }, { state: 'running' }] },
    select: { id: true, orgId: true },
  });
  for (const { id, orgId } of checks) {
    if (!keys.has(id)) await finishCheck(deps.db, { orgId, checkId: id, outcome: erroredOutcome(died), now: deps.clock.now() });
  }
}
