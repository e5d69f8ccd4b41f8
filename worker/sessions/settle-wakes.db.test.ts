import { expect, it } from 'vitest';
import { openTestDatabase } from '../../server/testing/database.ts';
import { workerRig } from '../testing/rig.ts';

const { rig, aRunningSession, setPolicy, drive, say, read, messages, guest, inOrg } = workerRig(openTestDatabase());

it('a wake whose message cannot be given to the agent is settled, and the session falls asleep again', async () => {
  await setPolicy({ idleSuspendMs: 1000 });
  const { worker, session, driving } = await aRunningSession();
  rig.agent.crash(await guest(session));
  rig.agent.answers = false;
  await driving;
  await say(session, 'Hello');
  await drive(worker, session);
  expect((await read(session)).state).toBe('suspended');
  expect((await messages(session)).at(-1)?.state).toBe('failed');
  const wakes = await inOrg((tx) => tx.wake.findMany({ where: { sessionId: session.id } }));
  expect(wakes).toMatchObject([{ outcome: 'failed', detail: 'The agent did not answer initialize' }]);
});
