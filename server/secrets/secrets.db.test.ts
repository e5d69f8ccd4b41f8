import { TRPCError } from '@trpc/server';
import { beforeEach, describe, expect, it } from 'vitest';
import { withOrg } from '../db.ts';
import { callerFor } from '../testing/caller.ts';
import { openTestDatabase } from '../testing/database.ts';
import { aMember, anOrg, jobsOf, type TestOrg } from '../testing/fixtures.ts';
import { testServices } from '../testing/services.ts';
import type { SecretInput } from './contract.ts';
import { ensureDataKey, rewrapDataKey } from './data-key.ts';
import { makeKeyring } from './keyring.ts';
import { openSecretsFor } from './secrets.ts';

const OLD = 'the-key-of-last-year-0123456789abcdef';
const NEW = 'the-key-of-this-year-0123456789abcdef';
const CANARY = 'canary-7b21e9';
const database = openTestDatabase();
const services = testServices(database, { keyring: makeKeyring(OLD) });

const aSecret = (set: Partial<SecretInput> = {}): SecretInput => ({
  name: 'Registry',
  host: 'API.example.com',
  header: 'Authorization',
  scheme: 'bearer',
  value: CANARY,
  plainHttp: false,
  purposes: ['session', 'template'],
  ...set,
});

describe('secrets', () => {
  let org: TestOrg;
  let admin: ReturnType<typeof callerFor>;
  const ref = () => ({ org: org.slug });
  const create = (set: Partial<SecretInput> = {}) => admin.secrets.create({ ...ref(), secret: aSecret(set) });
  const open = (purpose: 'session' | 'template' | 'check', keyring = services.keyring) =>
    withOrg(database.db, org.orgId, (tx) => openSecretsFor(tx, keyring, org.orgId, purpose));

  beforeEach(async () => {
    org = await anOrg(database.db);
    admin = callerFor(services, await aMember(database.db, org.orgId, 'admin'));
  });

  it('go to the machines they are for, as whole headers', async () => {
    const { secretId } = await create();
    await create({ header: 'x-basic', scheme: 'basic', userName: 'me', value: 'pw' });
    await create({ header: 'x-raw', scheme: 'raw', value: 'as it is', plainHttp: true, purposes: ['session'] });
    const common = { host: 'api.example.com', plainHttp: false };
    expect(await open('template')).toEqual(
      expect.arrayContaining([
        { ...common, id: secretId, header: 'authorization', value: `Bearer ${CANARY}` },
        { ...common, id: expect.any(String), header: 'x-basic', value: `Basic ${btoa('me:pw')}` },
      ]),
    );
    expect((await open('session')).map(({ header, value, plainHttp }) => [header, value, plainHttp])).toContainEqual([
      'x-raw',
      'as it is',
      true,
    ]);
    expect(await open('check')).toEqual([]);
    expect((await jobsOf(database.systemDb, org.orgId)).map(({ name }) => name)).toEqual(['apply-egress']);
  });

  it('are never given back: not by the list, the audit log, or an error', async () => {
    const { secretId } = await create();
    await admin.secrets.setValue({ ...ref(), secretId, secret: { value: `${CANARY}-2` } });
    const listed = await admin.secrets.list(ref());
    expect(listed).toMatchObject([
      { id: secretId, name: 'Registry', host: 'api.example.com', header: 'authorization', createdBy: 'A admin' },
    ]);
    const refused = await create({ value: `${CANARY}\nx` }).catch((error: unknown) => error);
    const twice = await create().catch((error: unknown) => error);
    expect([refused, twice]).toMatchObject([{ code: 'BAD_REQUEST' }, { code: 'CONFLICT' }]);
    const seen = [listed, await admin.orgs.audit(ref()), refused, twice].map(
      (one) => JSON.stringify(one) + String(one) + JSON.stringify((one as Error).cause ?? ''),
    );
    for (const text of seen) expect(text).not.toContain(CANARY);
    expect((await open('session'))[0]?.value).toBe(`Bearer ${CANARY}-2`);
  });

  it('lie in the database encrypted, and open for their row only', async () => {
    await create();
    const other = await create({ host: 'other.example.com' });
    const rows = await withOrg(database.db, org.orgId, (tx) => tx.secret.findMany());
    for (const { sealed } of rows) expect(Buffer.from(sealed).includes(CANARY)).toBe(false);
    // Whoever can write rows cannot point a secret at a host of theirs.
    const moved = withOrg(database.db, org.orgId, (tx) =>
      tx.secret.update({ where: { id: other.secretId }, data: { host: 'evil.example.com' } }),
    );
    await moved;
    await expect(open('session')).rejects.toThrow('was changed or moved');
  });

  it('stay readable through a change of the installation’s key', async () => {
    await create();
    const both = makeKeyring(NEW, [OLD]);
    expect(await open('session', both)).toHaveLength(1);
    await expect(open('session', makeKeyring(NEW))).rejects.toThrow('WARREN_SECRETS_KEY_PREVIOUS');
    const rewrap = () => withOrg(database.db, org.orgId, (tx) => rewrapDataKey(tx, both, org.orgId));
    expect([await rewrap(), await rewrap()]).toEqual([true, false]);
    expect(await open('session', makeKeyring(NEW))).toHaveLength(1);
    const found = await database.systemDb.dataKey.findMany({ where: { wrappedBy: both.current.id }, select: { orgId: true } });
    expect(found).toContainEqual({ orgId: org.orgId });
    await expect(database.systemDb.dataKey.findMany()).rejects.toThrow();
    await expect(database.systemDb.secret.findMany()).rejects.toThrow();
  });

  it('use one data key, also when two make it at once', async () => {
    const keys = await Promise.all(
      [1, 2, 3].map(() => withOrg(database.db, org.orgId, (tx) => ensureDataKey(tx, services.keyring, org.orgId))),
    );
    expect(new Set(keys.map((key) => key.toString('hex'))).size).toBe(1);
  });

  it.each([
    [{ host: '*.example.com' }, 'exactly one host'],
    [{ header: 'host' }, 'says how a request travels'],
    [{ header: 'Proxy-Authorization' }, 'says how a request travels'],
    [{ header: 'a b' }, 'letters, digits and hyphens'],
    [{ value: '' }, 'Enter the value'],
    [{ value: 'a\r\nb' }, 'one line'],
    [{ userName: 'a:b' }, 'no colon'],
    [{ purposes: [] }, 'kind of machine'],
    [{ name: ' ' }, 'Enter a name'],
  ])('refuse %j and say why', async (set, why) => {
    await expect(create(set)).rejects.toMatchObject({ code: 'BAD_REQUEST', message: expect.stringContaining(why) });
  });

  it('are removed with an audit entry, and are shown to developers but changed by administrators', async () => {
    const { secretId } = await create();
    const developer = callerFor(services, await aMember(database.db, org.orgId, 'developer'));
    expect(await developer.secrets.list(ref())).toHaveLength(1);
    for (const attempt of [
      () => developer.secrets.create({ ...ref(), secret: aSecret({ header: 'x-a' }) }),
      () => developer.secrets.setValue({ ...ref(), secretId, secret: { value: 'v' } }),
      () => developer.secrets.remove({ ...ref(), secretId }),
    ]) {
      await expect(attempt()).rejects.toSatisfy((error) => error instanceof TRPCError && error.code === 'FORBIDDEN');
    }
    await admin.secrets.remove({ ...ref(), secretId });
    expect(await admin.secrets.list(ref())).toEqual([]);
    const { rows } = await admin.orgs.audit(ref());
    expect(rows[0]).toMatchObject({
      action: 'secret.removed',
      target: secretId,
      details: { host: 'api.example.com', header: 'authorization' },
    });
  });
});
