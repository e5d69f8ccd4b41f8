import { beforeAll, describe, expect, it } from 'vitest';
import { withOrg } from '../db.ts';
import { newId } from '../ids.ts';
import { parseOrgPolicy } from '../policy/policy.ts';
import { openTestDatabase } from '../testing/database.ts';
import { anOrg, aSession, jobsOf, type TestOrg } from '../testing/fixtures.ts';
import { queueMessage } from './queue-message.ts';
import { sendMessage } from './send-message.ts';
import { SESSION_STATES, type SessionState } from './states.ts';
import { transition } from './transition.ts';

const { db, systemDb } = openTestDatabase();
let org: TestOrg;
beforeAll(async () => {
  org = await anOrg(db);
  await withOrg(db, org.orgId, (tx) =>
    tx.organization.update({ where: { id: org.orgId }, data: { policy: { maxConcurrentSessions: 100 } } }),
  );
});

async function checkFails(sessionId: string) {
  const repoEventId = newId('repoEvent');
  return withOrg(db, org.orgId, (tx) =>
    queueMessage(
      tx,
      { orgId: org.orgId, sessionId },
      {
        kind: 'check_failed',
        text: 'test failed',
        actor: { kind: 'event', repoEventId },
        author: null,
        sourceId: newId('check'),
        repoEventId,
      },
    ),
  );
}

async function stateOf(sessionId: string) {
  return withOrg(db, org.orgId, async (tx) => ({
    state: (await tx.session.findUniqueOrThrow({ where: { id: sessionId } })).state,
    wakes: (await tx.wake.findMany({ where: { sessionId } })).map(({ cause, outcome }) => ({ cause, outcome })),
    messages: await tx.message.count({ where: { sessionId, state: 'queued' } }),
    jobs: (await jobsOf(systemDb, sessionId)).map((job) => job.state),
  }));
}

describe('a failed check reaches its session', () => {
  const pending = [{ cause: 'check_failed', outcome: 'pending' }];
  const EXPECTED: Record<SessionState, { state: SessionState; wakes: unknown[]; messages: number; jobs: string[] }> = {
    created: { state: 'created', wakes: [], messages: 1, jobs: ['created'] },
    provisioning: { state: 'provisioning', wakes: [], messages: 1, jobs: ['created'] },
    running: { state: 'running', wakes: [], messages: 1, jobs: ['created'] },
    // Its driver finds the message after the suspend and turns around: a wake all the same.
    suspending: { state: 'suspending', wakes: pending, messages: 1, jobs: ['created'] },
    suspended: { state: 'resuming', wakes: pending, messages: 1, jobs: ['created'] },
    resuming: { state: 'resuming', wakes: [], messages: 1, jobs: ['created'] },
    failed: { state: 'failed', wakes: [], messages: 1, jobs: [] },
    stopping: { state: 'stopping', wakes: [], messages: 0, jobs: [] },
    stopped: { state: 'stopped', wakes: [], messages: 0, jobs: [] },
  };

  it.each(SESSION_STATES)('while %s', async (state) => {
    const session = await aSession(db, org, { state, snapshotId: newId('snapshot') });
    const result = await checkFails(session.id);
    expect(result.ok).toBe(EXPECTED[state].messages === 1);
    expect(await stateOf(session.id)).toEqual(EXPECTED[state]);
  });

  it('two at once wake it once and are both queued', async () => {
    const session = await aSession(db, org, { state: 'suspended', snapshotId: newId('snapshot') });
    await Promise.all([checkFails(session.id), checkFails(session.id)]);
    expect(await stateOf(session.id)).toMatchObject({ state: 'resuming', wakes: [{}], messages: 2, jobs: ['created'] });
  });

  it('is not lost when the session falls asleep at the same moment', async () => {
    const session = await aSession(db, org, { state: 'suspending', snapshotId: newId('snapshot') });
    const ref = { orgId: org.orgId, sessionId: session.id };
    await Promise.all([
      checkFails(session.id),
      withOrg(db, org.orgId, (tx) =>
        transition(tx, ref, { expected: session, to: 'suspended', reason: 'idle', actor: { kind: 'worker' }, drive: false }),
      ),
    ]);
    const after = await stateOf(session.id);
    expect(['resuming', 'suspended']).toContain(after.state);
    expect(after).toMatchObject({ wakes: [{}], messages: 1, jobs: ['created'] });
  });
});

describe('an organization that has as many sessions awake as it may', () => {
  let full: TestOrg;
  const send = (sessionId: string) =>
    withOrg(db, full.orgId, (tx) => {
      const actor = { userId: full.ownerId, role: 'owner' as const, name: 'Owner' };
      const policy = parseOrgPolicy({ maxConcurrentSessions: 1 });
      return sendMessage(tx, { orgId: full.orgId, sessionId }, { text: 'Hello', actor, policy });
    });
  beforeAll(async () => {
    full = await anOrg(db);
    await aSession(db, full, { state: 'running' });
  });

  it.each(['suspended', 'failed'] as const)('refuses a person’s message to one that is %s, with what to do', async (state) => {
    const session = await aSession(db, full, { state, snapshotId: newId('snapshot') });
    const refused = await send(session.id).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: 'policy_denied', publicMessage: expect.stringContaining('let one fall asleep') });
    expect(await withOrg(db, full.orgId, (tx) => tx.message.count({ where: { sessionId: session.id } }))).toBe(0);
  });

  it('takes a message to one that is awake', async () => {
    const session = await aSession(db, full, { state: 'running' });
    await expect(send(session.id)).resolves.toMatchObject({});
  });
});
