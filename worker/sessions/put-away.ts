import { holdsMemory, type SuspendResult } from '../../hostd/contract/machines.ts';
import type { Session } from '../../prisma/generated/client.ts';
import { appendEvent, lockSession } from '../../server/sessions/append-event.ts';
import { decideFailedMachine } from '../../server/sessions/decisions.ts';
import { dropOldSnapshots } from '../machines/drop-snapshots.ts';
import { removeMachine, whyGone } from '../machines/open-machine.ts';
import { type Driver, guestOf, inOrg } from './driver.ts';
import { storeSnapshot, trySuspend } from './keep-disk.ts';

/**
 * A session that failed while awake left its machine running, for the person who retries at once. After a while its memory
 * and disk become a snapshot, or its disk alone; a retry then goes on from there. What cannot be kept for a day is removed.
 */
export async function putAway(driver: Driver, session: Session): Promise<void> {
  const decision = decideFailedMachine(session, driver.deps.clock.now());
  if (decision === 'leave') return;
  const { host, machineId } = await guestOf(driver, session);
  const gone = await whyGone(host, machineId);
  const kept =
    (gone === null ? await trySuspend(driver, session, 'keep') : null) ??
    (gone !== null || decision !== 'suspend' ? await trySuspend(driver, session, 'drop') : null);
  if (kept) return settleKept(driver, session, kept);
  if (gone === null && decision !== 'give_up') return;
  await removeMachine(driver.deps, { id: machineId, orgId: session.orgId, hostId: session.hostId!, lease: session.lease });
  await forget(driver, session, `Nothing of it could be kept: ${gone ?? 'its host refused for a day'}. Pushed commits are safe.`);
}

async function settleKept(driver: Driver, session: Session, { snapshot, releasedMs }: SuspendResult): Promise<void> {
  const what = holdsMemory(snapshot.manifest) ? 'memory and disk' : 'disk';
  await inOrg(driver, async (tx) => {
    await lockSession(tx, session.id);
    const { agentOffset } = await tx.session.findUniqueOrThrow({ where: { id: session.id } });
    await storeSnapshot(tx, { ...session, agentOffset }, snapshot, releasedMs);
    await tx.machine.updateMany({
      where: { id: session.machineId! },
      data: { endedAt: driver.deps.clock.now(), endedHow: 'suspended' },
    });
    // Whatever the session has become meanwhile: this is where its machine is now.
    await tx.session.updateMany({
      where: { id: session.id, machineId: session.machineId },
      data: { machineId: null, snapshotId: snapshot.snapshotId },
    });
    await appendEvent(tx, driver.ref, {
      kind: 'progress',
      label: 'Machine put away',
      ms: Math.round(releasedMs),
      detail: `its ${what} ${what === 'disk' ? 'is' : 'are'} kept; retry goes on from there`,
    });
  });
  await dropOldSnapshots(driver.deps, session, snapshot.snapshotId);
}

async function forget(driver: Driver, session: Session, detail: string): Promise<void> {
  await inOrg(driver, async (tx) => {
    await tx.session.updateMany({ where: { id: session.id, machineId: session.machineId }, data: { machineId: null } });
    const nextStep = session.snapshotId ? 'Retry: it goes on from its last sleep.' : 'Retry: it starts in a fresh machine.';
    await appendEvent(tx, driver.ref, { kind: 'error', title: 'The machine was removed', detail, nextStep });
  });
}
