import { expect, it } from 'vitest';
import { lockSession } from '../../server/sessions/append-event.ts';
import { openTestDatabase } from '../../server/testing/database.ts';
import { workerRig } from '../testing/rig.ts';

const { rig, aRunningSession, aWorker, setPolicy, drive, say, read, messages, inOrg, until } = workerRig(openTestDatabase());

it('of two drivers that wake a session at once one places a machine', async () => {
  await setPolicy({ idleSuspendMs: 1000 });
  const { session, driving } = await aRunningSession();
  await driving;
  await setPolicy({ idleSuspendMs: 3_600_000 });
  await say(session, 'Hello');
  // Both have read that there is no machine, and are about to say that theirs is.
  const drivers: Promise<void>[] = [];
  await inOrg(async (tx) => {
    await lockSession(tx, session.id);
    drivers.push(drive(aWorker(), session), drive(aWorker(), session));
    await until(async () => {
      const [row] = await tx.$queryRaw<{ waiting: number }[]>`
        select count(*)::int as waiting from pg_locks where not granted`;
      expect(row?.waiting).toBeGreaterThanOrEqual(2);
    });
  });
  await until(async () => expect((await messages(session)).at(-1)?.state).toBe('done'));
  // The template's session machine, and one for the wake.
  expect(await inOrg((tx) => tx.machine.count({ where: { sessionId: session.id } }))).toBe(2);
  expect([...rig.fake.machines.keys()]).toEqual([(await read(session)).machineId]);
});
