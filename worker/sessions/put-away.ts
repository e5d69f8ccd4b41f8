import { holdsMemory, type SuspendResult } from '../../hostd/contract/machines.ts';
import type { Session } from '../../prisma/generated/client.ts';
import { isHostError } from '../../server/hosts/host-error.ts';
import { appendEvent, lockSession } from '../../server/sessions/append-event.ts';
import { decideFailedMachine } from '../../server/sessions/decisions.ts';
import { dropOldSnapshots } from '../machines/drop-snapshots.ts';
import { removeMachine, snapshotIdOf, whyGone } from '../machines/open-machine.ts';
import { type Driver, guestOf, inOrg } from './driver.ts';
import { storeSnapshot, trySuspend } from './keep-disk.ts';

/**
 * A session that failed while awake left its machine running, for the person who retries at once. After a while its memory
 * and disk become a snapshot, or its disk alone; a retry then goes on from there. What cannot be kept for a day is removed.
 * A machine that is not there any more (it fell asleep after all, or died) is settled at once: nobody can go on in it.
 */
export async function putAway(driver: Driver, session: Session): Promise<void> {
  if (session.machineId === null) return;
  const decision = decideFailedMachine(session, driver.deps.clock.now());
  const { host, machineId } = await guestOf(driver, session);
  const gone = await whyGone(host, machineId);
  if (gone === null && decision === 'leave') return;
  const kept =
    (gone === null ? await trySuspend(driver, session, 'keep') : null) ??
    (gone !== null || decision !== 'suspend' ? await trySuspend(driver, session, 'drop') : null);
  if (kept) return settleKept(driver, session, kept);
  if (decision === 'leave' || (gone === null && decision !== 'give_up')) return;
  await removeMachine(driver.deps, { id: machineId, orgId: session.orgId, hostId: session.hostId!, lease: session.lease });
  await forget(driver, session, `Nothing of it could be kept: ${gone ?? 'its host refused for a day'}. Pushed commits are safe.`);
}

/**
 * The machine is a snapshot now, whatever the session has become meanwhile: that is where it goes on from. Changes nothing
 * when the session has another machine or none, since somebody else has settled this one then.
 */
export async function settleKept(driver: Driver, session: Session, { snapshot, releasedMs }: SuspendResult): Promise<void> {
  const what = holdsMemory(snapshot.manifest) ? 'memory and disk' : 'disk';
  const settled = await inOrg(driver, async (tx) => {
    await lockSession(tx, session.id);
    const { machineId, agentOffset } = await tx.session.findUniqueOrThrow({ where: { id: session.id } });
    if (machineId === null || machineId !== session.machineId) return false;
    await storeSnapshot(tx, { ...session, agentOffset }, snapshot, releasedMs);
    await tx.machine.update({ where: { id: machineId }, data: { endedAt: driver.deps.clock.now(), endedHow: 'suspended' } });
    await tx.session.update({ where: { id: session.id }, data: { machineId: null, snapshotId: snapshot.snapshotId } });
    await appendEvent(tx, driver.ref, {
      kind: 'progress',
      label: 'Machine put away',
      ms: Math.round(releasedMs),
      detail: `its ${what} ${what === 'disk' ? 'is' : 'are'} kept; retry goes on from there`,
    });
    return true;
  });
  if (settled) await dropOldSnapshots(driver.deps, session, snapshot.snapshotId);
}

/**
 * The session's machine fell asleep without anybody hearing of it (its deadline passed, or the worker died, in between): takes
 * note of the snapshot, so that nothing starts from an older state. False when there is none. Rejects with HostError.
 */
export async function settleUnheard(driver: Driver, session: Session): Promise<boolean> {
  const { host, machineId } = await guestOf(driver, session);
  const snapshot = await host.snapshot(snapshotIdOf(machineId)).catch((error: unknown) => {
    if (isHostError(error, 'not_found')) return null;
    throw error;
  });
  if (snapshot === null || (await whyGone(host, machineId)) === null) return false;
  await settleKept(driver, session, { snapshot, releasedMs: 0, processGone: true });
  return true;
}

async function forget(driver: Driver, session: Session, detail: string): Promise<void> {
  await inOrg(driver, async (tx) => {
    await tx.session.updateMany({ where: { id: session.id, machineId: session.machineId }, data: { machineId: null } });
    const nextStep = session.snapshotId ? 'Retry: it goes on from its last sleep.' : 'Retry: it starts in a fresh machine.';
    await appendEvent(tx, driver.ref, { kind: 'error', title: 'The machine was removed', detail, nextStep });
  });
}
