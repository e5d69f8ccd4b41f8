import { describe, expect, it } from 'vitest';
import type { Session } from '../../prisma/generated/client.ts';
import { FakeRefusal } from '../../server/hosts/fake/fake-host.ts';
import { parseOrgPolicy } from '../../server/policy/policy.ts';
import { retrySession, suspendSession } from '../../server/sessions/control-session.ts';
import { openTestDatabase } from '../../server/testing/database.ts';
import { workerRig } from '../testing/rig.ts';

const { rig, aRunningSession, aWorker, drive, say, read, messages, events, until, inOrg } = workerRig(openTestDatabase());

const ref = (session: Session) => ({ orgId: rig.org.orgId, sessionId: session.id });
const retry = (session: Session) =>
  inOrg((tx) =>
    retrySession(tx, ref(session), { actor: { userId: rig.org.ownerId, role: 'owner' }, policy: parseOrgPolicy({}) }),
  );
const prompts = () => rig.agent.received.filter(({ method }) => method === 'session/prompt').length;

/** A session in the middle of its second turn. */
async function aWorkingSession() {
  const running = await aRunningSession();
  rig.agent.onPrompt = (turn) => turn.say('Working');
  await say(running.session, 'Hello');
  await until(async () => expect((await events(running.session)).at(-1)).toMatchObject({ kind: 'agent_text' }));
  return running;
}

async function expectNextToWork(session: Session) {
  rig.agent.onPrompt = (turn) => turn.end();
  await say(session, 'Go on');
  await until(async () => expect((await messages(session)).at(-1)?.state).toBe('done'));
}

describe('a turn that was open when the machine fell asleep', () => {
  it('is over once the machine starts from its disk, is never given again, and the next message finds an agent', async () => {
    const { worker, session, driving } = await aWorkingSession();
    await inOrg((tx) => suspendSession(tx, ref(session), rig.org.ownerId));
    await driving;
    expect((await read(session)).state).toBe('suspended');
    rig.fake.faults.set('create', new FakeRefusal('incompatible', 'another QEMU'));
    await say(session, 'And then?');
    await drive(worker, session);
    expect((await read(session)).state).toBe('failed');

    const before = prompts();
    rig.agent.onPrompt = (turn) => turn.end();
    await retry(session);
    void drive(worker, session);
    await until(async () => expect((await messages(session)).at(-1)?.state).toBe('done'));
    expect(rig.fake.machine((await read(session)).machineId!).created.source.kind).toBe('disk');
    expect((await messages(session)).map(({ state }) => state)).toEqual(['done', 'failed', 'done']);
    expect(prompts()).toBe(before + 1);
    const errors = (await events(session)).filter(({ kind }) => kind === 'error');
    expect(errors.map(({ title }) => title)).toEqual([
      'The sleeping memory could not be loaded',
      'The agent’s turn ended with the machine’s memory',
    ]);
    await expectNextToWork(session);
  });
});

describe('a turn that was open in a machine of which nothing is left', () => {
  it('is over, and not given to the agent of a fresh one', async () => {
    const { worker, session } = await aWorkingSession();
    await worker.kill();
    rig.fake.endMachine((await read(session)).machineId!);
    await inOrg((tx) => tx.session.update({ where: { id: session.id }, data: { state: 'failed', machineId: null } }));

    const before = prompts();
    await retry(session);
    void drive(aWorker(), session);
    await expectNextToWork(session);
    expect((await messages(session)).map(({ state }) => state)).toEqual(['done', 'failed', 'done']);
    expect(prompts()).toBe(before + 1);
  });
});
