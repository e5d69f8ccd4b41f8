import { Prisma, type Session } from '../../prisma/generated/client.ts';
import type { Tx } from '../../server/db.ts';
import { captureWorktree } from '../../server/hosts/capture-worktree.ts';
import { replicationOf } from '../../server/hosts/store-key.ts';
import { appendEvent } from '../../server/sessions/append-event.ts';
import { agentProcessSchema, sightAgent } from '../guest/agent-process.ts';
import { dropOldSnapshots } from '../machines/drop-snapshots.ts';
import { snapshotIdOf, whyGone } from '../machines/open-machine.ts';
import { type Driver, guestOf, inOrg, move } from './driver.ts';
import { storeSnapshot } from './keep-disk.ts';
import { settleKept } from './put-away.ts';
import { markResumed } from './settle-wakes.ts';
import { wakeAtOnce } from './wake-at-once.ts';

type Place = Awaited<ReturnType<typeof guestOf>>;

/** Puts the machine to sleep, or turns around when something asked for it meanwhile. */
export async function suspend(driver: Driver, session: Session): Promise<void> {
  const { deps, ref, log } = driver;
  const guest = await guestOf(driver, session);
  if ((await inOrg(driver, (tx) => wantsToWake(driver, tx))) && !(await isAsleep(guest))) {
    await move(driver, session, { to: 'running', reason: 'something arrived before it slept' }, (tx) =>
      markResumed(tx, ref, { sameBootId: true, sameAgentProcess: true }, deps.clock.now()),
    );
    return;
  }
  await keepForReaders(driver, session, guest);

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
    { to: 'suspended', reason: 'asleep', set: { machineId: null, snapshotId } },
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
  if (moved) await dropOldSnapshots(deps, session, snapshotId);
  else await settleKept(driver, session, { snapshot, releasedMs, processGone });
}

/** A ledger row made while it was falling asleep says that somebody wants it awake. */
async function wantsToWake({ ref }: Driver, tx: Tx): Promise<boolean> {
  return (await tx.wake.count({ where: { sessionId: ref.sessionId, outcome: 'pending' } })) > 0;
}

/** An earlier try may have got so far. A host that does not answer says nothing about its machines. */
async function isAsleep({ host, machineId }: Place): Promise<boolean> {
  return (await whyGone(host, machineId).catch(() => null)) !== null;
}

/**
 * What is read of the machine while it sleeps, and what its resume is held against. Stored before it stops: a suspend whose
 * result was lost is asked for again, when the guest can no longer be asked. A guest too busy to answer sleeps all the same.
 */
async function keepForReaders(driver: Driver, session: Session, guest: Place): Promise<void> {
  const { deps, log } = driver;
  const { machineId } = guest;
  if (await isAsleep(guest)) return;
  const { agentProcess } = await inOrg(driver, (tx) => tx.machine.findUniqueOrThrow({ where: { id: machineId } }));
  const expected = agentProcessSchema.safeParse(agentProcess).data ?? null;
  // Together: under emulation each takes seconds when the guest is busy.
  const [worktree, seen] = await Promise.all([
    captureWorktree(guest.host, machineId, deps.clock.now()).catch((error: unknown) => {
      log.warn({ event: 'session.worktree_not_captured', err: error }, 'worktree not captured');
      return null;
    }),
    // Unanswered, what was seen last still says which process has to be there after the resume.
    sightAgent(guest, expected).catch(() => null),
  ]);
  await inOrg(driver, async (tx) => {
    await tx.session.update({ where: { id: session.id }, data: { worktree: worktree ?? Prisma.DbNull } });
    if (seen) await tx.machine.update({ where: { id: machineId }, data: { agentProcess: seen.process ?? Prisma.DbNull } });
  });
}
