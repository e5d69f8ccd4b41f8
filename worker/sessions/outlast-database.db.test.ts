import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it } from 'vitest';
import { readBody } from '../../server/hosts/http-request.ts';
import type { Trouble } from '../../server/realtime/contract.ts';
import { readTrouble } from '../../server/realtime/trouble.ts';
import { openTestDatabase } from '../../server/testing/database.ts';
import { fillDisk } from '../../server/testing/fill-disk.ts';
import { workerRig } from '../testing/rig.ts';

const test = openTestDatabase();
const { rig, aWorker, aRunningSession, setPolicy, drive, say, read, messages, events, until } = workerRig(test);

/** Web's internal port, as far as workers speak to it. */
async function listenForTroubles(grantSecret: string) {
  const troubles: (Trouble | null)[] = [];
  const server = createServer(async (req, res) => {
    troubles.push(readTrouble(grantSecret, req.headers.authorization, (await readBody(req)).toString()));
    res.writeHead(204).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    troubles,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

it('a turn outlasts a full disk of the database, however often it is tried, and tells of it afterwards', async () => {
  const worker = aWorker();
  const web = await listenForTroubles(worker.deps.grantSecret);
  worker.deps.internalUrl = web.url;
  const { session } = await aRunningSession(worker);
  const { refusals, giveBack } = await fillDisk(test, 'AgentFrame', "new.direction = 'agent'");
  await say(session, 'Go on');
  // More tries than a step that fails is given.
  await until(async () => expect(await refusals()).toBeGreaterThan(6));
  expect((await read(session)).state).toBe('running');
  expect((await messages(session)).at(-1)?.state).toBe('delivered');
  // While nothing can be stored pages hear of it, again and again.
  const wait = { orgId: rig.org.orgId, sessionId: session.id, what: 'database_full' };
  await until(() => expect(web.troubles.slice(0, 3)).toEqual([wait, wait, wait]));
  await giveBack();
  await until(async () => expect((await messages(session)).at(-1)?.state).toBe('done'));
  expect((await read(session)).state).toBe('running');
  const told = await events(session);
  expect(told.filter(({ label }) => label === 'Waited for Warren’s database')).toHaveLength(1);
  expect(told.filter(({ kind }) => kind === 'error')).toEqual([]);
  expect(rig.agent.received.filter(({ method }) => method === 'session/prompt')).toHaveLength(2);
  await web.close();
});

it('a step whose transaction never ends in its time is settled, though the database answers', async () => {
  await setPolicy({ idleSuspendMs: 1000 });
  const { worker, session, driving } = await aRunningSession();
  await driving;
  await say(session, 'Go on');
  const timeout = Object.assign(new Error('Transaction already closed'), { code: 'P2028' });
  worker.deps.hosts = { ...worker.deps.hosts, requireNeighbourly: () => Promise.reject(timeout) };
  await drive(worker, session);
  expect(await read(session)).toMatchObject({ state: 'suspended', machineId: null });
  const told = await events(session);
  expect(told.filter(({ label }) => label === 'Waited for Warren’s database')).toHaveLength(1);
  expect(told.filter(({ kind }) => kind === 'error')).toMatchObject([{ title: 'The machine could not be woken' }]);
});
