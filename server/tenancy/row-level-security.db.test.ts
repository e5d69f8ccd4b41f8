import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { withOrg, withUser } from '../db.ts';
import { newId } from '../ids.ts';
import { openTestDatabase } from '../testing/database.ts';
import { aMember, anOrg, aRepository, aSession } from '../testing/fixtures.ts';

const { db, systemDb, urls } = openTestDatabase();

describe('catalog', () => {
  let client: pg.Client;
  beforeAll(async () => {
    client = new pg.Client({ connectionString: urls.appUrl });
    await client.connect();
  });
  afterAll(() => client.end());

  it('every table with an orgId, and Organization, forces row-level security and has a policy for the runtime role', async () => {
    const { rows } = await client.query(`
      select c.relname as name, c.relrowsecurity and c.relforcerowsecurity as forced,
        exists (select 1 from pg_policy p where p.polrelid = c.oid and p.polname = 'tenant') as has_policy
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = 'public' and c.relkind in ('r', 'p') and (c.relname = 'Organization' or exists (
        select 1 from pg_attribute a where a.attrelid = c.oid and a.attname = 'orgId' and not a.attisdropped))`);
    expect(rows.length).toBeGreaterThan(15);
    expect(rows.filter((row) => !row.forced || !row.has_policy)).toEqual([]);
  });

  it('the runtime role owns nothing and cannot go round the policies', async () => {
    const role = await client.query('select rolsuper, rolbypassrls, rolcreaterole from pg_roles where rolname = current_user');
    expect(role.rows).toEqual([{ rolsuper: false, rolbypassrls: false, rolcreaterole: false }]);
    const owned = await client.query('select relname from pg_class where relowner = current_user::regrole');
    expect(owned.rows).toEqual([]);
  });

  it.each(['AuditEntry', 'SessionTransition'])('%s can be added to but neither changed nor emptied', async (table) => {
    await expect(client.query(`update "${table}" set "orgId" = 'x'`)).rejects.toThrow('permission denied');
    await expect(client.query(`delete from "${table}"`)).rejects.toThrow('permission denied');
    await expect(client.query(`truncate "${table}"`)).rejects.toThrow('permission denied');
  });

  it('jobs can be added but not read', async () => {
    await expect(client.query('select * from pgboss.job')).rejects.toThrow('permission denied');
    await expect(client.query('delete from pgboss.job')).rejects.toThrow('permission denied');
  });
});

describe('withOrg', () => {
  it('sees its own rows, and none of another organization, not even by id', async () => {
    const [acme, other] = [await anOrg(db), await anOrg(db, { name: 'Other' })];
    const own = await aSession(db, acme);
    const foreign = await aSession(db, other);
    const seen = await withOrg(db, acme.orgId, async (tx) => ({
      all: (await tx.session.findMany()).map((session) => session.id),
      foreign: await tx.session.findUnique({ where: { id: foreign.id } }),
      orgs: await tx.organization.findMany(),
    }));
    expect(seen.all).toEqual([own.id]);
    expect(seen.foreign).toBeNull();
    expect(seen.orgs.map((org) => org.id)).toEqual([acme.orgId]);
  });

  it('cannot write a row of another organization, or move one there', async () => {
    const [acme, other] = [await anOrg(db), await anOrg(db, { name: 'Other' })];
    const id = await aRepository(db, acme.orgId);
    const data = { id: newId('repository'), orgId: other.orgId, slug: 'stolen', name: 'stolen' };
    await expect(withOrg(db, acme.orgId, (tx) => tx.repository.create({ data }))).rejects.toThrow();
    await expect(
      withOrg(db, acme.orgId, (tx) => tx.repository.update({ where: { id }, data: { orgId: other.orgId } })),
    ).rejects.toThrow();
    await expect(withOrg(db, other.orgId, (tx) => tx.repository.delete({ where: { id } }))).rejects.toThrow();
  });

  it('leaves no organization behind on its connection', async () => {
    const acme = await anOrg(db);
    await aSession(db, acme);
    const client = new pg.Client({ connectionString: urls.appUrl });
    await client.connect();
    await client.query('begin');
    await client.query(`select set_config('warren.org_id', $1, true)`, [acme.orgId]);
    expect((await client.query('select id from "Session"')).rowCount).toBe(1);
    await client.query('commit');
    expect((await client.query('select id from "Session"')).rowCount).toBe(0);
    await client.end();
  });
});

describe('withUser', () => {
  it('sees the memberships of one person and the organizations they are in', async () => {
    const [acme, other] = [await anOrg(db), await anOrg(db, { name: 'Other' })];
    const userId = await aMember(db, acme.orgId, 'viewer');
    const seen = await withUser(db, userId, async (tx) => ({
      orgs: (await tx.organization.findMany()).map((org) => org.id),
      members: (await tx.member.findMany()).map((member) => member.userId),
    }));
    expect(seen).toEqual({ orgs: [acme.orgId], members: [userId] });
    expect(seen.orgs).not.toContain(other.orgId);
  });

  it('changes nothing', async () => {
    const acme = await anOrg(db);
    const userId = await aMember(db, acme.orgId, 'viewer');
    const promote = withUser(db, userId, (tx) => tx.member.updateMany({ where: { userId }, data: { role: 'owner' } }));
    expect((await promote).count).toBe(0);
  });
});

describe('the system role', () => {
  it('reads sessions of every organization and writes none', async () => {
    const [acme, other] = [await anOrg(db), await anOrg(db, { name: 'Other' })];
    const ids = [(await aSession(db, acme)).id, (await aSession(db, other)).id];
    expect(await systemDb.session.count({ where: { id: { in: ids } } })).toBe(2);
    await expect(systemDb.session.updateMany({ data: { title: 'x' } })).rejects.toThrow();
  });
});
