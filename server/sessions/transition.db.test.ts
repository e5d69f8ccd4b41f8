import { beforeAll, describe, expect, it } from 'vitest';
import { createDb, withOrg } from '../db.ts';
import { openTestDatabase } from '../testing/database.ts';
import { anOrg, aSession, jobsOf, type TestOrg } from '../testing/fixtures.ts';
import { canTransition, isEnded, SESSION_RULES, SESSION_STATES } from './states.ts';
import { type TransitionInput, transition } from './transition.ts';

const { db, systemDb, urls } = openTestDatabase();
let org: TestOrg;
beforeAll(async () => {
  org = await anOrg(db);
});

type Partly = Omit<TransitionInput, 'expected' | 'reason' | 'actor' | 'drive'> & Partial<TransitionInput>;

async function move(sessionId: string, input: Partly) {
  return withOrg(db, org.orgId, async (tx) => {
    const expected = input.expected ?? (await tx.session.findUniqueOrThrow({ where: { id: sessionId } }));
    const ref = { orgId: org.orgId, sessionId };
    return transition(tx, ref, { reason: 'test', actor: { kind: 'worker' }, drive: false, ...input, expected });
  });
}

async function logOf(sessionId: string) {
  return withOrg(db, org.orgId, async (tx) => ({
    transitions: await tx.sessionTransition.findMany({ where: { sessionId }, orderBy: { id: 'asc' } }),
    events: await tx.sessionEvent.findMany({ where: { sessionId }, orderBy: { seq: 'asc' } }),
    audit: await tx.auditEntry.findMany({ where: { target: sessionId } }),
    session: await tx.session.findUniqueOrThrow({ where: { id: sessionId } }),
  }));
}

describe('transition: every state to every state', () => {
  const grid = SESSION_STATES.flatMap((from) => SESSION_STATES.map((to) => ({ from, to })));

  it.each(grid)('$from -> $to', async ({ from, to }) => {
    const session = await aSession(db, org, { state: from });
    const result = await move(session.id, { to, now: new Date('2026-01-01T00:00:00Z') });
    const log = await logOf(session.id);

    if (!canTransition(from, to)) {
      expect(result).toEqual({ ok: false, reason: 'invalid_transition', from, to });
      expect(log).toMatchObject({ transitions: [], events: [], session: { state: from, version: 0 } });
      return;
    }
    const { deadlineMs } = SESSION_RULES[to];
    const deadlineAt = deadlineMs === null ? null : new Date(Date.parse('2026-01-01T00:00:00Z') + deadlineMs);
    expect(result).toMatchObject({ ok: true, session: { state: to, version: 1, deadlineAt } });
    expect(log.transitions).toMatchObject([{ from, to, reason: 'test', actor: 'worker' }]);
    expect(log.events).toMatchObject([{ seq: 1, rev: 1, kind: 'transition', data: { from, to } }]);
    expect(log.session.endedAt !== null).toBe(isEnded(to));
  });
});

describe('transition', () => {
  it('refuses a caller whose picture is out of date, and changes nothing', async () => {
    const session = await aSession(db, org, { state: 'running' });
    await move(session.id, { to: 'suspending' });
    const late = await move(session.id, { expected: { state: 'running', version: 0 }, to: 'stopping' });
    expect(late).toEqual({ ok: false, reason: 'lost_race', state: 'suspending', version: 1 });
    const wentRound = await move(session.id, { expected: { state: 'suspending', version: 0 }, to: 'suspended' });
    expect(wentRound).toMatchObject({ reason: 'lost_race' });
    expect((await logOf(session.id)).transitions).toHaveLength(1);
  });

  it('has one winner when two connections move at once', async () => {
    const other = createDb(urls.appUrl);
    const session = await aSession(db, org, { state: 'running' });
    const ref = { orgId: org.orgId, sessionId: session.id };
    const input = { expected: session, reason: 'race', actor: { kind: 'worker' }, drive: false } as const;
    const results = await Promise.all([
      withOrg(db, org.orgId, (tx) => transition(tx, ref, { ...input, to: 'suspending' })),
      withOrg(other, org.orgId, (tx) => transition(tx, ref, { ...input, to: 'stopping' })),
    ]);
    await other.close();
    expect(results.filter((result) => result.ok)).toHaveLength(1);
    expect(results.filter((result) => !result.ok && result.reason === 'lost_race')).toHaveLength(1);
    expect((await logOf(session.id)).transitions).toHaveLength(1);
  });

  it('audits a person and not the worker', async () => {
    const [byPerson, byWorker] = [await aSession(db, org), await aSession(db, org)];
    await move(byPerson.id, { to: 'stopping', actor: { kind: 'user', userId: org.ownerId } });
    await move(byWorker.id, { to: 'stopping' });
    expect((await logOf(byPerson.id)).audit).toMatchObject([{ actor: org.ownerId, action: 'session.transition' }]);
    expect((await logOf(byWorker.id)).audit).toEqual([]);
  });

  it('adds the job only when asked, and with the state change or not at all', async () => {
    const session = await aSession(db, org);
    await move(session.id, { to: 'suspending' });
    expect(await jobsOf(systemDb, session.id)).toEqual([]);
    const undone = withOrg(db, org.orgId, async (tx) => {
      const expected = { state: 'suspending', version: 1 } as const;
      await transition(
        tx,
        { orgId: org.orgId, sessionId: session.id },
        {
          expected,
          to: 'suspended',
          reason: 'test',
          actor: { kind: 'worker' },
          drive: true,
        },
      );
      throw new Error('rolled back');
    });
    await expect(undone).rejects.toThrow('rolled back');
    expect(await jobsOf(systemDb, session.id)).toEqual([]);
    await move(session.id, { to: 'suspended', drive: true });
    expect(await jobsOf(systemDb, session.id)).toHaveLength(1);
  });

  it('forgets the reason of an earlier failure once it has gone on', async () => {
    const session = await aSession(db, org, { state: 'failed', stateReason: 'no capacity' });
    const retried = await move(session.id, { to: 'provisioning' });
    expect(retried).toMatchObject({ ok: true, session: { stateReason: null } });
    const failed = await move(session.id, { to: 'failed', set: { stateReason: 'again' } });
    expect(failed).toMatchObject({ ok: true, session: { stateReason: 'again' } });
  });
});
