import { describe, expect, it } from 'vitest';
import type { Session } from '../../prisma/generated/client.ts';
import { FakeRefusal } from '../../server/hosts/fake/fake-host.ts';
import { FAILED_MACHINE_MS, FAILED_MEMORY_MS_MAX } from '../../server/sessions/decisions.ts';
import { openTestDatabase } from '../../server/testing/database.ts';
import { workerRig } from '../testing/rig.ts';

const { rig, aRunningSession, aWorker, drive, say, read, messages, events, guest, until, inOrg, setPolicy } = workerRig(
  openTestDatabase(),
);

describe('a machine that dies', () => {
  it('leaves its disk: the session goes on from there, also when it had never slept', async () => {
    const { worker, session, driving } = await aRunningSession();
    (await guest(session)).files.set('/workspace/notes.txt', Buffer.from('not committed'));
    rig.agent.onPrompt = (turn) => turn.say('Working'.repeat(1000));
    await say(session, 'Hello');
    await until(async () => expect((await events(session)).at(-1)).toMatchObject({ kind: 'agent_text', text: /^Working/ }));
    const lost = (await read(session)).machineId!;
    rig.fake.exitMachine(lost);
    await driving;
    expect(await read(session)).toMatchObject({ state: 'suspended', machineId: null, snapshotId: lost.replace('mch_', 'snp_') });
    expect(await events(session)).toContainEqual(
      expect.objectContaining({ title: 'The machine was lost', detail: expect.stringContaining('Its disk was kept') }),
    );

    rig.agent.onPrompt = (turn) => turn.end();
    await say(session, 'Go on');
    void drive(worker, session);
    await until(async () => expect((await messages(session)).at(-1)?.state).toBe('done'));
    const next = rig.fake.machine((await read(session)).machineId!);
    expect(next.created.source.kind).toBe('disk');
    expect(next.guest.files.get('/workspace/notes.txt')?.toString()).toBe('not committed');
  });
});

describe('a session that failed with its machine running', () => {
  async function aFailedSession() {
    await setPolicy({ idleSuspendMs: 1000 });
    const { worker, session, driving } = await aRunningSession();
    rig.fake.faults.set('suspend', new FakeRefusal('disk_full', 'no space left'));
    await driving;
    const { state, machineId } = await read(session);
    expect([state, machineId]).toEqual(['failed', expect.stringMatching(/^mch_/)]);
    return { worker, session, machineId: machineId! };
  }
  const failedSince = (session: Session, ms: number) =>
    inOrg((tx) => tx.session.update({ where: { id: session.id }, data: { stateSince: new Date(Date.now() - ms) } }));

  it('leaves the machine for whoever retries soon, then puts it away with its memory', async () => {
    const { worker, session, machineId } = await aFailedSession();
    await drive(worker, session);
    expect((await read(session)).machineId).toBe(machineId);
    await failedSince(session, FAILED_MACHINE_MS + 1000);
    await drive(worker, session);
    expect(await read(session)).toMatchObject({
      state: 'failed',
      machineId: null,
      snapshotId: machineId.replace('mch_', 'snp_'),
    });
    expect((await events(session)).at(-1)).toMatchObject({
      label: 'Machine put away',
      detail: expect.stringContaining('memory'),
    });
    await say(session, 'Go on');
    await drive(worker, session);
    expect((await messages(session)).at(-1)?.state).toBe('done');
    const newest = await inOrg((tx) =>
      tx.machine.findFirst({ where: { sessionId: session.id }, orderBy: { createdAt: 'desc' } }),
    );
    expect(newest?.sourceSnapshotId).toBe(machineId.replace('mch_', 'snp_'));
  });

  it('gives up the memory for the disk where it cannot be put to sleep for long', async () => {
    const { worker, session } = await aFailedSession();
    const refuse = () => rig.fake.faults.set('suspend', new FakeRefusal('disk_full', 'no space left'));
    refuse();
    await failedSince(session, FAILED_MACHINE_MS + 1000);
    await drive(worker, session);
    expect((await read(session)).machineId).not.toBeNull();
    refuse();
    await failedSince(session, FAILED_MEMORY_MS_MAX + 1000);
    await drive(worker, session);
    expect((await read(session)).machineId).toBeNull();
    expect((await events(session)).at(-1)).toMatchObject({ detail: 'its disk is kept; retry goes on from there' });
  });

  it('says so where the host no longer has it', async () => {
    const { worker, session, machineId } = await aFailedSession();
    rig.fake.endMachine(machineId);
    await failedSince(session, FAILED_MACHINE_MS + 1000);
    await drive(worker, session);
    expect(await read(session)).toMatchObject({ state: 'failed', machineId: null, snapshotId: null });
    expect((await events(session)).at(-1)).toMatchObject({ title: 'The machine was removed' });
  });
});

describe('a template that can no longer be forked', () => {
  it('is built anew for the session that wanted it', async () => {
    const first = await aRunningSession();
    const { templateId } = await read(first.session);
    rig.fake.faults.set('create', new FakeRefusal('incompatible', 'another form of device state'));
    const { session } = await aRunningSession(first.worker);
    expect((await read(session)).templateId).not.toBe(templateId);
    const template = await inOrg((tx) => tx.template.findUniqueOrThrow({ where: { id: templateId! } }));
    expect(template.state).toBe('retired');
    expect(await events(session)).toContainEqual(expect.objectContaining({ label: 'The template can no longer be used' }));
  });
});

describe('a session whose model is no longer served', () => {
  it('has its agent set up for the one that is, at its next message, with its conversation', async () => {
    await setPolicy({ idleSuspendMs: 1000 });
    const { session, driving } = await aRunningSession();
    await driving;
    const later = aWorker();
    later.deps.agent = {
      ...later.deps.agent,
      model: { name: 'another', scripted: false },
      files: [{ path: '/etc/agent', text: 'another' }],
    };
    await say(session, 'Go on');
    await drive(later, session);
    expect((await messages(session)).at(-1)?.state).toBe('done');
    expect(await read(session)).toMatchObject({ modelName: 'another', agentModel: 'another', scripted: false });
    expect(rig.agent.received.map(({ method }) => method)).toContain('session/load');
    expect(await events(session)).toContainEqual(expect.objectContaining({ kind: 'progress', label: 'Model changed' }));

    await say(session, 'And again');
    const again = aWorker();
    again.deps.agent = later.deps.agent;
    await drive(again, session);
    const restarts = rig.agent.received.filter(({ method }) => method === 'session/load');
    expect(restarts).toHaveLength(1);
  });
});
