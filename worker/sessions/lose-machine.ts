import type { Session } from '../../prisma/generated/client.ts';
import { appendEvent } from '../../server/sessions/append-event.ts';
import { dropOldSnapshots } from '../machines/drop-snapshots.ts';
import { type Driver, move } from './driver.ts';
import { failOpenTurn } from './end-turn.ts';
import { storeSnapshot, trySuspend } from './keep-disk.ts';
import { wakeAtOnce } from './wake-at-once.ts';

/** Agent model of a machine whose past we do not know: never equal to one, so that the agent is set up anew. */
const UNKNOWN_MODEL = '';

/**
 * The machine ended without a suspend: its host went down, or its process did. Its disk becomes the snapshot that the
 * session goes on from; where that cannot be had, its last sleep does. What is lost is said to be.
 */
export async function loseMachine(driver: Driver, session: Session, reason: string): Promise<void> {
  const { deps } = driver;
  const kept = await trySuspend(driver, session, 'drop');
  const hasSnapshot = kept !== null || session.snapshotId !== null;
  const error = {
    kind: 'error' as const,
    title: 'The machine was lost',
    ...describeLoss(reason, { keptDisk: kept !== null, hasSlept: session.snapshotId !== null }),
  };
  const set = {
    machineId: null,
    stateReason: error.title,
    ...(kept ? { snapshotId: kept.snapshot.snapshotId } : { agentModel: UNKNOWN_MODEL }),
  };
  await move(driver, session, { to: hasSnapshot ? 'suspended' : 'failed', reason: 'the machine was lost', set }, async (tx) => {
    await tx.machine.updateMany({
      where: { id: session.machineId ?? '', endedAt: null },
      data: { endedAt: deps.clock.now(), endedHow: 'lost' },
    });
    if (kept) {
      const { agentOffset } = await tx.session.findUniqueOrThrow({ where: { id: session.id } });
      await storeSnapshot(tx, { ...session, agentOffset }, kept.snapshot, kept.releasedMs);
    }
    if (!(await failOpenTurn(tx, session, error, deps.clock.now()))) await appendEvent(tx, driver.ref, error);
    const waiting = await tx.message.count({ where: { sessionId: session.id, state: 'queued' } });
    if (hasSnapshot && waiting > 0) await wakeAtOnce(driver, tx, 'messages wait for it');
  });
  if (kept) await dropOldSnapshots(deps, session, kept.snapshot.snapshotId);
}

function describeLoss(reason: string, { keptDisk, hasSlept }: { keptDisk: boolean; hasSlept: boolean }) {
  if (keptDisk) {
    return {
      detail: `${reason}. Its disk was kept: files are as they were, but for what it had not written out in its last seconds. Processes are gone.`,
      nextStep: 'Wake the session or send a message: the machine starts from its disk, and the agent with it.',
    };
  }
  if (hasSlept) {
    return {
      detail: `${reason}. Its disk could not be kept: what happened in it since it last slept is gone. Pushed commits are safe.`,
      nextStep: 'Wake the session: it goes on from its last sleep.',
    };
  }
  return {
    detail: `${reason}. It had never slept and its disk could not be kept, so nothing of it is left. Pushed commits are safe.`,
    nextStep: 'Retry: the session starts in a fresh machine.',
  };
}
