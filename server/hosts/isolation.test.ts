import { describe, expect, it } from 'vitest';
import { decideNeighbour, listWeaknesses } from './isolation.ts';

const TCG = 'machines are emulated (TCG), which is no security boundary';
const lack = (what: string) => ({ what, found: '', why: '', fix: '' });
const aCase = { orgId: 'org_b', holderOrgId: 'org_a', weaknesses: [TCG] };

describe('a machine of a second organization', () => {
  it.each([
    ['where machines are not kept apart', {}, TCG],
    [
      'on a host that has not said how it keeps them apart',
      { weaknesses: null },
      'it has not reported how it keeps machines apart',
    ],
    ['with every weakness named', { weaknesses: ['one', 'two'] }, 'one; two'],
  ])('is refused %s', (_, set, reason) => {
    expect(decideNeighbour({ ...aCase, ...set })).toEqual({ ok: false, reason });
  });

  it('is accepted on a host that keeps machines apart', () => {
    expect(decideNeighbour({ ...aCase, weaknesses: [] })).toEqual({ ok: true });
  });
});

describe('a machine of the only organization', () => {
  it.each([null, 'org_b'])('is accepted however weak the host is (held by %s)', (holderOrgId) => {
    expect(decideNeighbour({ ...aCase, holderOrgId })).toEqual({ ok: true });
    expect(decideNeighbour({ ...aCase, holderOrgId, weaknesses: null })).toEqual({ ok: true });
  });
});

describe('a host’s weaknesses', () => {
  it('are none under KVM with a complete jail', () => {
    expect(listWeaknesses({ accelerator: 'kvm', isolationLacks: [] })).toEqual([]);
  });

  it('are emulation and whatever its jail lacks', () => {
    const isolationLacks = [lack('a user id per machine'), lack('a limit on io')];
    expect(listWeaknesses({ accelerator: 'tcg', isolationLacks })).toEqual([
      TCG,
      'missing: a user id per machine, a limit on io',
    ]);
    expect(listWeaknesses({ accelerator: 'kvm', isolationLacks })).toHaveLength(1);
  });
});
