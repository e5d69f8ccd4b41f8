import type { PgBoss } from 'pg-boss';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDb, withOrg } from '../db.ts';
import { newId } from '../ids.ts';
import { openTestDatabase } from '../testing/database.ts';
import { anOrg, jobsOf, type TestOrg } from '../testing/fixtures.ts';
import { enqueue } from './enqueue.ts';
import { createBoss, prepareQueues } from './queue.ts';

const { db, systemDb, urls } = openTestDatabase();
let org: TestOrg;
let boss: PgBoss;
beforeAll(async () => {
  org = await anOrg(db);
  boss = createBoss(urls.systemUrl, { supervise: false });
  await boss.start();
});
afterAll(() => boss.stop({ graceful: false }));

const payload = (sessionId: string) => ({ orgId: org.orgId, sessionId });
const add = (sessionId: string, on = db) => withOrg(on, org.orgId, (tx) => enqueue(tx, 'drive-session', payload(sessionId)));
const statesOf = async (sessionId: string) => (await jobsOf(systemDb, sessionId)).map((job) => job.state);

/** Claims the one job that waits. */
async function claim() {
  const [job, ...others] = await boss.fetch<{ sessionId: string }>('drive-session');
  expect(others).toEqual([]);
  return job ?? null;
}

describe('enqueue', () => {
  it('makes the job that pg-boss’s own send makes', async () => {
    const [ours, theirs] = [newId('session'), newId('session')];
    await add(ours);
    await boss.send('drive-session', payload(theirs), { singletonKey: theirs });
    const rows = await systemDb.$queryRaw<Record<string, unknown>[]>`
      select (to_jsonb(j) - '{id,data,singleton_key,created_on,start_after,keep_until}'::text[]) as job,
        extract(epoch from keep_until - created_on)::int as kept_seconds, start_after <= now() as ready
      from pgboss.job j where singleton_key in (${ours}, ${theirs})`;
    expect(rows).toHaveLength(2);
    expect(rows[0]).toEqual(rows[1]);
    expect(rows[0]).toMatchObject({ ready: true, job: { policy: 'stately', heartbeat_seconds: 15, retry_limit: 5 } });
    for (const id of [ours, theirs])
      await boss.deleteJob('drive-session', (await boss.findJobs('drive-session', { key: id }))[0]!.id);
  });

  it('leaves nothing behind when the transaction rolls back', async () => {
    const sessionId = newId('session');
    const undone = withOrg(db, org.orgId, async (tx) => {
      await enqueue(tx, 'drive-session', payload(sessionId));
      throw new Error('rolled back');
    });
    await expect(undone).rejects.toThrow('rolled back');
    expect(await statesOf(sessionId)).toEqual([]);
  });

  it('refuses a payload that is not the job’s', async () => {
    const bad = { orgId: org.orgId } as unknown as ReturnType<typeof payload>;
    await expect(withOrg(db, org.orgId, (tx) => enqueue(tx, 'drive-session', bad))).rejects.toThrow();
  });

  it('says what is missing when there are no queues', async () => {
    const unknown = withOrg(db, org.orgId, (tx) => tx.$executeRaw`select pgboss.warren_enqueue('nope', '{}', '')`);
    await expect(unknown).rejects.toThrow('queue nope does not exist');
  });
});

describe('one session’s jobs', () => {
  it('one waits while one runs: what arrives meanwhile is never lost, and never driven twice at once', async () => {
    const sessionId = newId('session');
    await Promise.all([add(sessionId), add(sessionId), add(sessionId)]);
    expect(await statesOf(sessionId)).toEqual(['created']);
    const running = await claim();
    expect(running?.data.sessionId).toBe(sessionId);

    await add(sessionId);
    await add(sessionId);
    expect((await statesOf(sessionId)).toSorted()).toEqual(['active', 'created']);
    expect(await claim()).toBeNull();

    await boss.complete('drive-session', running!.id);
    const next = await claim();
    expect(next?.data.sessionId).toBe(sessionId);
    await boss.complete('drive-session', next!.id);
  });

  it('a waiting job does not start before the transaction that relies on it has ended', async () => {
    const sessionId = newId('session');
    await add(sessionId);
    const other = createDb(urls.appUrl);
    const [entered, mayCommit] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const relying = withOrg(other, org.orgId, async (tx) => {
      await enqueue(tx, 'drive-session', payload(sessionId));
      entered.resolve();
      await mayCommit.promise;
    });
    await entered.promise;
    expect(await claim()).toBeNull();
    mayCommit.resolve();
    await relying;
    await other.close();
    const job = await claim();
    expect(job?.data.sessionId).toBe(sessionId);
    await boss.complete('drive-session', job!.id);
    expect((await statesOf(sessionId)).filter((state) => state !== 'completed')).toEqual([]);
  });

  it('a dead worker’s job is given to another once its heartbeat has run out, and not before', async () => {
    const sessionId = newId('session');
    await add(sessionId);
    const job = await claim();
    await boss.supervise('drive-session');
    expect(await statesOf(sessionId)).toEqual(['active']);

    await systemDb.$executeRaw`
      update pgboss.job set heartbeat_on = now() - interval '16 seconds', retry_delay = 0 where id = ${job!.id}::uuid`;
    await systemDb.$executeRaw`update pgboss.queue set monitor_on = null, monitor_claim_on = null`;
    await boss.supervise('drive-session');
    expect(await statesOf(sessionId)).toEqual(['retry']);
    await systemDb.$executeRaw`update pgboss.job set start_after = now() where id = ${job!.id}::uuid`;
    expect((await claim())?.id).toBe(job!.id);
    await boss.complete('drive-session', job!.id);
  });
});

describe('rules that a host does not take', () => {
  it('are tried until it does', async () => {
    await withOrg(db, org.orgId, (tx) => enqueue(tx, 'apply-egress', { orgId: org.orgId }));
    for (let tries = 0; tries < 30; tries += 1) {
      const [job] = await boss.fetch('apply-egress');
      await boss.fail('apply-egress', job!.id);
      await systemDb.$executeRaw`update pgboss.job set start_after = now() where id = ${job!.id}::uuid`;
    }
    expect(await statesOf(org.orgId)).toEqual(['retry']);
  });
});

describe('prepareQueues', () => {
  it('can be run again, and keeps what waits', async () => {
    const sessionId = newId('session');
    await add(sessionId);
    await prepareQueues(urls.systemUrl);
    expect(await statesOf(sessionId)).toEqual(['created']);
  });
});
