import type { WorkerDeps } from '../deps.ts';
import { deleteInBatches } from './delete-in-batches.ts';
import { eachOf } from './each-of.ts';

const KEEP_DAYS = 30;

/**
 * Bounds the raw frames by age. What people see is in the timeline, which stays; frames are for finding out what an agent really
 * said. Those of a session whose turn is open are needed: a worker that takes over delivers from them.
 */
export async function pruneFrames(deps: WorkerDeps, rowsMax?: number): Promise<void> {
  const before = new Date(deps.clock.now().getTime() - KEEP_DAYS * 86_400_000);
  await eachOf(await deps.systemDb.organization.findMany({ select: { id: true } }), ({ id: orgId }) =>
    deleteInBatches(
      deps.db,
      orgId,
      (tx, limit) => tx.$executeRaw`
        delete from "AgentFrame" where id in (
          select id from "AgentFrame" frame
          where at < ${before} and not exists (
            select 1 from "Message" where "sessionId" = frame."sessionId" and state = 'delivered')
          limit ${limit})`,
      rowsMax,
    ),
  );
}
