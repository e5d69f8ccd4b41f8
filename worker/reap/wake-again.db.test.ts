import { describe, expect, it } from 'vitest';
import type { Session } from '../../prisma/generated/client.ts';
import { withOrg } from '../../server/db.ts';
import { FakeRefusal } from '../../server/hosts/fake/fake-host.ts';
import { newId } from '../../server/ids.ts';
import { enqueue } from '../../server/jobs/enqueue.ts';
import { suspendSession } from '../../server/sessions/control-session.ts';
import { openTestDatabase } from '../../server/testing/database.ts';
import { aSession } from '../../server/testing/fixtures.ts';
import { workerRig } from '../testing/rig.ts';
import { reapSessions } from './reap-sessions.ts';

const test = openTestDatabase();
const { rig, aWorker, aRunningSession, drive, say, read, messages, events, inOrg, setPolicy } = workerRig(test);

const refOf = (session: Session) => ({ orgId: rig.org.orgId, sessionId: session.id });
/** A sweep as it would be then, by default with a host that answers. */
async function sweepAfter(ms: number, { hostAnswers = true } = {}): Promise<void> {
  const deps = { ...aWorker().deps, clock: { now: () => new Date(Date.now() + ms) } };
  if (hostAnswers) await deps.hosts.heartbeat(deps.clock.now());
  await reapSessions(deps);
}
const wakesOf = (session: Session) =>
  inOrg((tx) => tx.wake.findMany({ where: { sessionId: session.id }, orderBy: { requestedAt: 'asc' } }));

/** A session that sleeps with a message its resume did not reach. */
async function aFailedWake(refusal: FakeRefusal) {
  await setPolicy({ idleSuspendMs: 1000 });
  const { worker, session, driving } = await aRunningSession();
  await driving;
  rig.fake.faults.set('create', refusal);
  await say(session, 'Hello');
  await drive(worker, session);
  return { worker, session };
}

describe('a wake that failed', () => {
  it('is tried again after a while, and delivers what waited', async () => {
    const { worker, session } = await aFailedWake(new FakeRefusal('no_capacity', 'full'));
    await sweepAfter(50_000);
    expect((await read(session)).state).toBe('suspended');
    await sweepAfter(70_000);
    expect((await read(session)).state).toBe('resuming');
    await drive(worker, session);
    expect((await messages(session)).at(-1)?.state).toBe('done');
    expect(await wakesOf(session)).toMatchObject([
      { cause: 'message', outcome: 'failed' },
      { cause: 'message', outcome: 'delivered' },
    ]);
  });

  it('waits longer each time', async () => {
    const { worker, session } = await aFailedWake(new FakeRefusal('no_capacity', 'full'));
    rig.fake.faults.set('create', new FakeRefusal('no_capacity', 'full'));
    await sweepAfter(70_000);
    await drive(worker, session);
    await sweepAfter(110_000);
    expect((await read(session)).state).toBe('suspended');
    await sweepAfter(130_000);
    expect((await read(session)).state).toBe('resuming');
  });

  it('is not tried while the host is silent', async () => {
    const { session } = await aFailedWake(new FakeRefusal('no_capacity', 'full'));
    await test.systemDb.host.updateMany({ data: { lastSeenAt: new Date() } });
    await sweepAfter(70_000, { hostAnswers: false });
    expect((await read(session)).state).toBe('suspended');
    await sweepAfter(70_000);
    expect((await read(session)).state).toBe('resuming');
  });

  it('for a reason that lasts is not tried again: the session says so and waits for a person', async () => {
    const { session } = await aFailedWake(new FakeRefusal('not_found', 'no snapshot'));
    expect(await read(session)).toMatchObject({ state: 'failed', machineId: null });
    await sweepAfter(3_600_000);
    expect((await read(session)).state).toBe('failed');
    expect(await events(session)).toContainEqual(expect.objectContaining({ kind: 'error', detail: 'no snapshot' }));
  });
});

describe('a session that a person put to sleep', () => {
  it('stays asleep with what waits for it', async () => {
    const { session, driving } = await aRunningSession();
    rig.agent.onPrompt = (turn) => turn.say('Working');
    await say(session, 'One');
    await say(session, 'Two');
    await inOrg((tx) => suspendSession(tx, refOf(session), rig.org.ownerId));
    await driving;
    await sweepAfter(3_600_000);
    expect((await read(session)).state).toBe('suspended');
  });
});

describe('an event for a sleeping session of an organization that has as many awake as it may', () => {
  it('waits, is told of once, and wakes it when there is room', async () => {
    await setPolicy({ maxConcurrentSessions: 1 });
    const session = await aSession(test.db, rig.org, { state: 'suspended', snapshotId: newId('snapshot') });
    const awake = await aSession(test.db, rig.org, { state: 'running' });
    await say(session, 'A comment');
    await say(session, 'Another');
    await sweepAfter(0);
    expect((await read(session)).state).toBe('suspended');
    expect(await wakesOf(session)).toMatchObject([{ outcome: 'pending' }]);
    const told = (await events(session)).filter(({ kind }) => kind === 'progress');
    expect(told).toMatchObject([{ label: 'Waits for room to wake', detail: expect.stringContaining('1 sessions') }]);

    await inOrg((tx) => tx.session.update({ where: { id: awake.id }, data: { state: 'stopped' } }));
    await sweepAfter(0);
    expect((await read(session)).state).toBe('resuming');
    expect(await wakesOf(session)).toMatchObject([{ outcome: 'pending' }]);
  });
});

describe('a session whose driver has not started', () => {
  it('is not held to its deadline', async () => {
    const set = { state: 'resuming' as const, deadlineAt: new Date(Date.now() - 1000), snapshotId: newId('snapshot') };
    const [waiting, driven] = [await aSession(test.db, rig.org, set), await aSession(test.db, rig.org, set)];
    for (const session of [waiting, driven]) {
      await withOrg(test.db, rig.org.orgId, (tx) => enqueue(tx, 'drive-session', refOf(session)));
    }
    await test.systemDb.$executeRaw`
      update pgboss.job set state = 'active', started_on = now() where singleton_key = ${driven.id}`;
    await sweepAfter(0);
    const held = await read(waiting);
    expect(held.state).toBe('resuming');
    expect(held.deadlineAt!.getTime()).toBeGreaterThan(Date.now() + 4 * 60_000);
    expect((await read(driven)).state).toBe('suspended');
  });
});
