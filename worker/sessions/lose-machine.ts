import type { Session } from '../../prisma/generated/client.ts';
import { appendEvent } from '../../server/sessions/append-event.ts';
import { type Driver, move } from './driver.ts';
import { failTurn } from './end-turn.ts';
import { wakeAtOnce } from './wake-at-once.ts';

/**
 * The machine ended without a suspend: its host went down, or its process did. The session goes back to its last
 * snapshot when it has one; what happened since is lost and is said to be.
 */
export async function loseMachine(driver: Driver, session: Session, reason: string): Promise<void> {
  const { clock } = driver.deps;
  const hasSnapshot = session.snapshotId !== null;
  const error = {
    kind: 'error' as const,
    title: 'The machine was lost',
    detail: `${reason}. ${hasSnapshot ? 'What happened in it since it last slept is gone.' : 'It had never slept, so nothing of it was kept.'} Pushed commits are safe.`,
    nextStep: hasSnapshot ? 'Wake the session: it goes on from its last sleep.' : 'Retry: the session starts in a fresh machine.',
  };
  const to = hasSnapshot ? 'suspended' : 'failed';
  await move(
    driver,
    session,
    { to, reason: 'the machine was lost', set: { machineId: null, stateReason: error.title } },
    async (tx) => {
      await tx.machine.updateMany({
        where: { id: session.machineId ?? '', endedAt: null },
        data: { endedAt: clock.now(), endedHow: 'lost' },
      });
      const open = await tx.message.findFirst({ where: { sessionId: session.id, state: 'delivered' } });
      if (open) await failTurn(tx, session, open, error, clock.now());
      else await appendEvent(tx, driver.ref, error);
      const waiting = await tx.message.count({ where: { sessionId: session.id, state: 'queued' } });
      if (hasSnapshot && waiting > 0) await wakeAtOnce(driver, tx, 'messages wait for it');
    },
  );
}
