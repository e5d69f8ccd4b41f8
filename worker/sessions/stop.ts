import type { Session } from '../../prisma/generated/client.ts';
import { deleteSessionBranch } from '../../server/forge/delete-branch.ts';
import { dropOldSnapshots } from '../machines/drop-snapshots.ts';
import { removeMachine } from '../machines/open-machine.ts';
import { type Driver, inOrg, move } from './driver.ts';

/** Ends a session: its machines, its snapshots and its branch go, its record stays. */
export async function stop(driver: Driver, session: Session): Promise<void> {
  const { deps } = driver;
  const live = await inOrg(driver, (tx) => tx.machine.findMany({ where: { sessionId: session.id, endedAt: null } }));
  for (const machine of live) await removeMachine(deps, machine);
  await dropOldSnapshots(deps, session, null);
  await removeBranch(driver, session);
  await move(
    driver,
    session,
    { to: 'stopped', reason: 'machine and snapshots removed', set: { machineId: null, snapshotId: null } },
    async (tx) => {
      await tx.message.updateMany({
        where: { sessionId: session.id, state: { in: ['queued', 'delivered'] } },
        data: { state: 'failed', stopReason: 'stopped', doneAt: deps.clock.now() },
      });
    },
  );
}

/** An open change still needs its branch: it can be reviewed and merged after its session has ended. */
async function removeBranch(driver: Driver, session: Session): Promise<void> {
  const open = await inOrg(driver, (tx) => tx.change.count({ where: { sessionId: session.id, state: 'open' } }));
  if (open > 0) return;
  await deleteSessionBranch(driver.deps.forgeDir, session);
}
