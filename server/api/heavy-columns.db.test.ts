import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { withOrg } from '../db.ts';
import { newId } from '../ids.ts';
import { createRepository } from '../repositories/create-repository.ts';
import { callerFor } from '../testing/caller.ts';
import { openTestDatabase } from '../testing/database.ts';
import { anOrg, aReviewedChange, aSession, type TestOrg } from '../testing/fixtures.ts';
import { testServices } from '../testing/services.ts';

const database = openTestDatabase();
const HEAVY = { Session: 'worktree', Check: 'log', Template: 'log' };

let forgeDir = '';
let org: TestOrg;
let sessionId = '';
let api: ReturnType<typeof callerFor>;
beforeAll(async () => {
  forgeDir = await mkdtemp(path.join(tmpdir(), 'warren-forge-'));
  const services = testServices(database, { forgeDir });
  org = await anOrg(database.db);
  api = callerFor(services, org.ownerId);
  const repository = await createRepository(services, { orgId: org.orgId, userId: org.ownerId, name: 'Shop', content: 'sample' });
  const session = await aSession(database.db, org, { repositoryId: repository.id, worktree: { diff: 'x'.repeat(1000) } });
  sessionId = session.id;
  await aReviewedChange(database.db, session, null);
  await hideHeavyColumns();
});
afterAll(() => rm(forgeDir, { recursive: true, force: true }));

/** From here on a query that asks for one of them is refused by the database. */
async function hideHeavyColumns(): Promise<void> {
  const owner = new pg.Client({ connectionString: database.urls.ownerUrl });
  await owner.connect();
  for (const [table, heavy] of Object.entries(HEAVY)) {
    const { rows } = await owner.query<{ name: string }>(
      'select attname as name from pg_attribute where attrelid = $1::regclass and attnum > 0 and not attisdropped',
      [`"${table}"`],
    );
    const light = rows.filter(({ name }) => name !== heavy).map(({ name }) => `"${name}"`);
    await owner.query(`REVOKE SELECT ON "${table}" FROM warren_app`);
    await owner.query(`GRANT SELECT (${light.join(', ')}) ON "${table}" TO warren_app`);
  }
  await owner.end();
}

describe('what pages ask for again with every notice', () => {
  it('is a list of sessions without their diffs, and the checks of newest commits only', async () => {
    await withOrg(database.db, org.orgId, async (tx) => {
      const { id: changeId, orgId, repositoryId } = await tx.change.findFirstOrThrow();
      const old = { changeId, orgId, repositoryId, commitSha: 'c'.repeat(40), name: 'of an older commit', command: 'true' };
      await tx.check.createMany({ data: [{ id: newId('check'), ...old }] });
    });
    const checks = [{ name: 'test', state: 'failed' }];
    expect(await api.sessions.list({ org: org.slug })).toMatchObject([{ id: sessionId, change: { number: 1, checks } }]);
    expect(await api.changes.list({ org: org.slug })).toMatchObject([{ number: 1, checks }]);
  });

  it('is a session without its diff', async () => {
    const { session, checks } = await api.sessions.get({ org: org.slug, sessionId });
    expect(session).not.toHaveProperty('worktree');
    expect(checks).toMatchObject([{ name: 'test' }]);
  });

  it('is a change without the logs of its checks', async () => {
    const page = await api.changes.get({ org: org.slug, repo: 'shop', number: 1 });
    expect(page.checks).toContainEqual(expect.objectContaining({ name: 'test', state: 'failed' }));
    expect(page.session).toMatchObject({ id: sessionId });
  });

  it('is a repository without the logs of its templates', async () => {
    expect(await api.repositories.get({ org: org.slug, repo: 'shop' })).toMatchObject({ template: { state: 'ready' } });
    expect(await api.repositories.list({ org: org.slug })).toMatchObject([{ slug: 'shop', templateState: 'ready' }]);
  });
});
