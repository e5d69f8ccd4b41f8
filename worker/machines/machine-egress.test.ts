import { describe, expect, it } from 'vitest';
import { verifyGrant } from '../../server/grants.ts';
import { parseOrgPolicy } from '../../server/policy/policy.ts';
import { machineEgress } from './machine-egress.ts';

const NOW = new Date('2026-01-02T03:04:05Z');
const SECRET = 'a-secret-of-at-least-32-characters';
const BASE = { orgId: 'org_1', repositoryId: 'rep_1', machineId: 'mch_1', lease: 2 };

const egressFor = (purpose: 'session' | 'check' | 'template') =>
  machineEgress({
    policy: parseOrgPolicy({ egress: [{ id: 'rul_1', host: 'pypi.org', ports: [443] }] }),
    secrets: [],
    grant: { ...BASE, purpose },
    grantSecret: SECRET,
    internalUrl: 'http://127.0.0.1:7401',
    now: NOW,
  });

describe('machineEgress', () => {
  it('serves git and models to sessions, and only git to everything else', () => {
    const names = (purpose: Parameters<typeof egressFor>[0]) => egressFor(purpose).services.map(({ host }) => host);
    expect(names('session')).toEqual(['git.warren.internal', 'models.warren.internal']);
    expect(names('check')).toEqual(['git.warren.internal']);
    expect(names('template')).toEqual(['git.warren.internal']);
  });

  it('adds a grant for exactly this machine, outside of it', () => {
    const [git] = egressFor('session').services;
    expect(git?.upstream).toBe('http://127.0.0.1:7401/git');
    const verdict = verifyGrant(SECRET, git!.headers.authorization!.replace('Bearer ', ''), NOW);
    expect(verdict).toMatchObject({ ok: true, grant: { ...BASE, purpose: 'session' } });
  });

  it('allows what the organization allows, and no more', () => {
    expect(egressFor('check').allow).toMatchObject([{ id: 'rul_1', host: 'pypi.org', ports: [443], mode: 'splice' }]);
  });
});
