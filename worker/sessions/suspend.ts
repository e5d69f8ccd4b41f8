import { Prisma, type Session } from '../../prisma/generated/client.ts';
import type { Tx } from '../../server/db.ts';
import { captureWorktree } from '../../server/hosts/capture-worktree.ts';
import { replicationOf } from '../../server/hosts/store-key.ts';
import { appendEvent } from '../../server/sessions/append-event.ts';
import { agentProcessSchema, sightAgent } from '../guest/agent-process.ts';
import { dropOldSnapshots } from '../machines/drop-snapshots.ts';
import { snapshotIdOf } from '../machines/open-machine.ts';
import { type Driver, guestOf, inOrg, move } from './driver.ts';
import { storeSnapshot } from './keep-disk.ts';
import { markResumed } from './settle-wakes.ts';
import { wakeAtOnce } from './wake-at-once.ts';

/** Puts the machine to sleep, or turns around when something asked for it meanwhile. */
export async function suspend(driver: Driver, session: Session): Promise<void> {
  const { deps, ref, log } = driver;
  if (await inOrg(driver, (tx) => wantsToWake(driver, tx))) {
    await move(driver, session, { to: 'running', reason: 'something arrived before it slept' }, (tx) =>
      markResumed(tx, ref, { sameBootId: true, sameAgentProcess: true }, deps.clock.now()),
    );
    return;
  }
  const guest = await guestOf(driver, session);
  // Both are for reading while it sleeps; a guest too busy to answer sleeps all the same.
  const worktree = await captureWorktree(guest.host, guest.machineId, deps.clock.now()).catch((error: unknown) => {
    log.warn({ event: 'session.worktree_not_captured', err: error }, 'worktree not captured');
    return null;
  });
  await recordAgentProcess(driver, session);

  const snapshotId = snapshotIdOf(guest.machineId);
  const { snapshot, releasedMs, processGone } = await guest.host.suspend(guest.machineId, {
    lease: session.lease,
    snapshotId,
    replicate: replicationOf(deps.storeSecrets, session.orgId, session.id),
  });
  const now = deps.clock.now();
  const moved = await move(
    driver,
    session,
    { to: 'suspended', reason: 'asleep', set: { machineId: null, snapshotId, worktree: worktree ?? Prisma.DbNull } },
    async (tx) => {
      const { agentOffset } = await tx.session.findUniqueOrThrow({ where: { id: session.id } });
      await storeSnapshot(tx, { ...session, agentOffset }, snapshot, releasedMs);
      await tx.machine.update({ where: { id: guest.machineId }, data: { endedAt: now, endedHow: 'suspended' } });
      await appendEvent(tx, ref, {
        kind: 'suspended',
        releasedMs,
        processGone,
        processes: snapshot.manifest.processes?.length ?? null,
        storedBytes: snapshot.storedBytes,
      });
      if (await wantsToWake(driver, tx)) await wakeAtOnce(driver, tx, 'something arrived while it fell asleep');
    },
  );
  log.info({ event: 'session.suspended', machineId: guest.machineId, releasedMs, processGone, moved }, 'session suspended');
  await dropOldSnapshots(deps, session, snapshotId);
}

/** A ledger row made while it was falling asleep says that somebody wants it awake. */
async function wantsToWake({ ref }: Driver, tx: Tx): Promise<boolean> {
  return (await tx.wake.count({ where: { sessionId: ref.sessionId, outcome: 'pending' } })) > 0;
}

/** What the resume is held against. Read in the guest, right before it stops. */
async function recordAgentProcess(driver: Driver, session: Session): Promise<void> {
  const { agentProcess } = await inOrg(driver, (tx) => tx.machine.findUniqueOrThrow({ where: { id: session.machineId! } }));
  const expected = agentProcessSchema.safeParse(agentProcess).data ?? null;
  const { process } = await sightAgent(await guestOf(driver, session), expected).catch(() => ({ process: null }));
  await inOrg(driver, (tx) =>
    tx.machine.update({ where: { id: session.machineId! }, data: { agentProcess: process ?? Prisma.DbNull } }),
  );
}
