import { describe, expect, it } from 'vitest';
import { egressPolicySchema } from '../../hostd/contract/egress.ts';
import { ROLES } from '../auth/roles.ts';
import { decide, type OrgPolicy, type PolicyRequest, parseOrgPolicy } from './policy.ts';

const DEFAULTS = parseOrgPolicy({});
const developer = { userId: 'usr_1', role: 'developer' } as const;
const create = (context: Partial<Extract<PolicyRequest, { action: 'session.create' }>['context']> = {}): PolicyRequest => ({
  action: 'session.create',
  context: { modelName: 'gpt-x', promptBytes: 10, concurrentSessions: 0, ...context },
});

describe('policy', () => {
  it('has defaults that hostd accepts', () => {
    expect(egressPolicySchema.parse({ services: [], allow: DEFAULTS.egress }).allow).toHaveLength(DEFAULTS.egress.length);
    expect(DEFAULTS).toMatchObject({ allowedModels: null, idleSuspendMs: 5000, promptBytesMax: 100_000 });
  });

  it('that does not parse is an error, never silently the defaults', () => {
    expect(() => parseOrgPolicy({ allowedModels: 'all' })).toThrow();
    expect(() => parseOrgPolicy(null)).toThrow();
  });

  it('allows what no rule is against', () => {
    expect(decide(developer, DEFAULTS, create())).toEqual({ allow: true });
  });

  it.each([
    ['a model that is not listed', { allowedModels: ['other'] }, {}],
    ['every model when the list is empty', { allowedModels: [] }, {}],
    ['a prompt one byte too long', { promptBytesMax: 1000 }, { promptBytes: 1001 }],
    ['one session too many', { maxConcurrentSessions: 3 }, { concurrentSessions: 3 }],
  ])('denies %s', (_, policy, context) => {
    expect(decide(developer, parseOrgPolicy(policy), create(context))).toMatchObject({ allow: false });
  });

  it('allows up to each limit', () => {
    const policy = parseOrgPolicy({ promptBytesMax: 1000, maxConcurrentSessions: 3, allowedModels: ['gpt-x'] });
    expect(decide(developer, policy, create({ promptBytes: 1000, concurrentSessions: 2 }))).toEqual({ allow: true });
  });

  it.each(ROLES)('asks for the role developer: %s', (role) => {
    expect(decide({ userId: 'usr_1', role }, DEFAULTS, create()).allow).toBe(role !== 'viewer');
  });

  const push = (defaultBranch: boolean, firstCommit = false): PolicyRequest => ({
    action: 'repository.push',
    context: { defaultBranch, firstCommit },
  });
  it.each([
    ['a viewer', 'viewer', {}, push(false), false],
    ['a developer', 'developer', {}, push(true), true],
    ['a developer where it takes an admin', 'developer', { defaultBranchPush: 'admin' }, push(true), false],
    ['an owner where it takes an admin', 'owner', { defaultBranchPush: 'admin' }, push(true), true],
    ['an owner where nobody may', 'owner', { defaultBranchPush: null }, push(true), false],
    ['an owner past required checks', 'owner', { requirePassingChecks: true }, push(true), false],
    ['another branch where nobody may push to the default one', 'developer', { defaultBranchPush: null }, push(false), true],
    ['the first commit where nobody may', 'developer', { defaultBranchPush: null }, push(true, true), true],
    ['the first commit by a viewer', 'viewer', {}, push(true, true), false],
  ] as const)('decides on a push: %s', (_, role, policy, request, allow) => {
    expect(decide({ userId: 'usr_1', role }, parseOrgPolicy(policy), request).allow).toBe(allow);
  });

  it('denies when a rule breaks or the action is unknown', () => {
    const broken = { ...DEFAULTS, allowedModels: 7 } as unknown as OrgPolicy;
    expect(decide(developer, broken, create())).toMatchObject({ allow: false });
    const unknown = { action: 'org.delete', context: {} } as unknown as PolicyRequest;
    expect(decide({ userId: 'usr_1', role: 'owner' }, DEFAULTS, unknown)).toMatchObject({ allow: false });
  });
});
