import { TRPCError } from '@trpc/server';
import { beforeEach, describe, expect, it } from 'vitest';
import { callerFor } from '../testing/caller.ts';
import { openTestDatabase } from '../testing/database.ts';
import { aMember, anOrg, jobsOf, type TestOrg } from '../testing/fixtures.ts';
import { testServices } from '../testing/services.ts';
import type { EgressRuleInput } from './contract.ts';

const database = openTestDatabase();
const services = testServices(database);
const RULE: EgressRuleInput = {
  host: 'API.example.com',
  ports: [443],
  mode: 'inspect',
  methods: ['GET'],
  paths: ['/v1/**'],
  webSocket: false,
};

describe('egress rules', () => {
  let org: TestOrg;
  let admin: ReturnType<typeof callerFor>;
  const ref = () => ({ org: org.slug });
  const rules = async () => (await admin.egress.rules(ref())).rules;
  const last = async () => (await rules()).at(-1)!;

  beforeEach(async () => {
    org = await anOrg(database.db);
    admin = callerFor(services, await aMember(database.db, org.orgId, 'admin'));
  });

  it('are added in their canonical form beside the ones an organization begins with, and brought to its machines', async () => {
    const before = await rules();
    const { ruleId } = await admin.egress.addRule({ ...ref(), rule: RULE });
    expect(await rules()).toEqual([
      ...before,
      { ...RULE, host: 'api.example.com', id: ruleId, requestBytesMax: null, responseBytesMax: null },
    ]);
    expect((await jobsOf(database.systemDb, org.orgId)).map(({ name }) => name)).toEqual(['apply-egress']);
  });

  it('are changed and removed by their id, also the first ones, which keep their id', async () => {
    const [first, ...others] = await rules();
    await admin.egress.removeRule({ ...ref(), ruleId: others[0]!.id });
    await admin.egress.changeRule({ ...ref(), ruleId: first!.id, rule: { ...RULE, host: first!.host } });
    expect(await rules()).toEqual([{ ...first, ...RULE, host: first!.host }, ...others.slice(1)]);
  });

  it('are in the audit log with who did it and what they said', async () => {
    await admin.egress.addRule({ ...ref(), rule: RULE });
    const { id } = await last();
    await admin.egress.changeRule({ ...ref(), ruleId: id, rule: { ...RULE, paths: null } });
    await admin.egress.removeRule({ ...ref(), ruleId: id });
    const { rows } = await admin.orgs.audit(ref());
    expect(rows.slice(0, 3).map(({ action, target, details }) => [action, target, details])).toEqual([
      ['egress.rule_removed', id, { rule: 'api.example.com:443 inspect GET' }],
      ['egress.rule_changed', id, { rule: 'api.example.com:443 inspect GET' }],
      ['egress.rule_added', id, { rule: 'api.example.com:443 inspect GET /v1/**' }],
    ]);
  });

  it('lose nothing when two administrators add at once', async () => {
    const before = (await rules()).length;
    await Promise.all(
      ['a', 'b', 'c', 'd'].map((name) => admin.egress.addRule({ ...ref(), rule: { ...RULE, host: `${name}.example.com` } })),
    );
    expect((await rules()).length).toBe(before + 4);
  });

  it('refuse what contradicts another, at the field', async () => {
    await admin.egress.addRule({ ...ref(), rule: RULE });
    const twice = admin.egress.addRule({ ...ref(), rule: { ...RULE, host: 'api.example.com.' } });
    await expect(twice).rejects.toMatchObject({ code: 'CONFLICT', cause: { details: { field: 'host' } } });
    const both = admin.egress.addRule({ ...ref(), rule: { ...RULE, mode: 'splice', methods: null, paths: null } });
    await expect(both).rejects.toMatchObject({ code: 'CONFLICT', cause: { details: { field: 'mode' } } });
    await admin.egress.addRule({ ...ref(), rule: { ...RULE, methods: ['POST'] } });
  });

  it('that do not parse are refused, and unknown ones are not found', async () => {
    const wrong = admin.egress.addRule({ ...ref(), rule: { ...RULE, host: '169.254.169.254' } });
    await expect(wrong).rejects.toMatchObject({ code: 'BAD_REQUEST' });
    await expect(admin.egress.removeRule({ ...ref(), ruleId: 'rul_no' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('are read by everybody in the organization and changed by administrators', async () => {
    const developer = callerFor(services, await aMember(database.db, org.orgId, 'developer'));
    expect((await developer.egress.rules(ref())).rules.length).toBeGreaterThan(5);
    const [first] = await rules();
    for (const attempt of [
      () => developer.egress.addRule({ ...ref(), rule: RULE }),
      () => developer.egress.changeRule({ ...ref(), ruleId: first!.id, rule: RULE }),
      () => developer.egress.removeRule({ ...ref(), ruleId: first!.id }),
    ]) {
      await expect(attempt()).rejects.toSatisfy((error) => error instanceof TRPCError && error.code === 'FORBIDDEN');
    }
  });
});
