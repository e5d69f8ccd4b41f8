import { recordAudit } from '../audit/record.ts';
import type { Tx } from '../db.ts';
import { AppError, notFound } from '../errors.ts';
import { enqueue } from '../jobs/enqueue.ts';
import { publishCheck } from './publish-check.ts';

/**
 * Runs a finished check of an open change's newest commit once more.
 *
 * @throws not_found; conflict when it is under way, or its commit is not the newest any more
 */
export async function rerunCheck(tx: Tx, input: { orgId: string; checkId: string; userId: string }): Promise<void> {
  const check = await tx.check.findUnique({ where: { id: input.checkId } });
  const change = check?.changeId ? await tx.change.findUnique({ where: { id: check.changeId } }) : null;
  if (!check || !change) throw notFound('check');
  if (change.state !== 'open')
    throw new AppError('conflict', { publicMessage: `The change is ${change.state}; its checks are not run any more.` });
  if (change.headSha !== check.commitSha)
    throw new AppError('conflict', { publicMessage: 'A newer commit was pushed; its checks are the ones that count.' });
  const { count } = await tx.check.updateMany({
    where: { id: check.id, state: { in: ['passed', 'failed', 'errored'] } },
    data: { state: 'queued', exitCode: null, log: '', machineId: null, startedAt: null, finishedAt: null },
  });
  if (count === 0) throw new AppError('conflict', { publicMessage: 'The check is already waiting or running.' });
  await enqueue(tx, 'run-check', { orgId: input.orgId, checkId: check.id });
  await recordAudit(tx, { orgId: input.orgId, actor: input.userId, action: 'check.rerun', target: check.id });
  await publishCheck(tx, check);
}
