import type { SnapshotView, SuspendResult } from '../../hostd/contract/machines.ts';
import type { Session } from '../../prisma/generated/client.ts';
import type { Tx } from '../../server/db.ts';
import { snapshotIdOf } from '../machines/open-machine.ts';
import { type Driver, guestOf } from './driver.ts';

/** Asks the host for what can be kept of the session's machine. Null when it cannot be had now; the log says why. */
export async function trySuspend(driver: Driver, session: Session, memory: 'keep' | 'drop'): Promise<SuspendResult | null> {
  try {
    const { host, machineId } = await guestOf(driver, session);
    return await host.suspend(machineId, { lease: session.lease, snapshotId: snapshotIdOf(machineId), memory });
  } catch (error) {
    driver.log.warn({ event: 'machine.not_kept', machineId: session.machineId, memory, err: error }, 'machine not kept');
    return null;
  }
}

/** The row of a session's snapshot, made or brought up to date. Readers of its agent go on at `session.agentOffset`. */
export async function storeSnapshot(
  tx: Tx,
  session: Pick<Session, 'id' | 'orgId' | 'hostId' | 'agentOffset'>,
  { snapshotId, manifest, storedBytes }: SnapshotView,
  releasedMs: number,
): Promise<void> {
  const { id: sessionId, orgId, hostId, agentOffset } = session;
  const row = { manifest, storedBytes: BigInt(storedBytes), releasedMs, agentOffset };
  const { machineId } = manifest;
  await tx.snapshot.upsert({
    where: { id: snapshotId },
    create: { id: snapshotId, orgId, hostId: hostId!, machineId, sessionId, ...row },
    update: row,
  });
}
