import type { Check } from '../../prisma/generated/client.ts';
import { type Db, withOrg } from '../db.ts';
import { publishCheck } from './publish-check.ts';

export type StartCheckInput = { orgId: string; checkId: string; machineId: string; now: Date };

/** Marks a check as running on a machine. Null when it does not exist, has been superseded or has its result: do not run it. */
export async function startCheck(db: Db, { orgId, checkId, machineId, now }: StartCheckInput): Promise<Check | null> {
  return withOrg(db, orgId, async (tx) => {
    // A worker that died left it running; the next one starts it anew.
    const { count } = await tx.check.updateMany({
      where: { id: checkId, state: { in: ['queued', 'running'] } },
      data: { state: 'running', machineId, startedAt: now, finishedAt: null, exitCode: null, log: '' },
    });
    if (count === 0) return null;
    const check = await tx.check.findUniqueOrThrow({ where: { id: checkId } });
    await publishCheck(tx, check);
    return check;
  });
}
