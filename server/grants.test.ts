import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type MachineGrant, signGrant, verifyGrant } from './grants.ts';

const SECRET = 'a-secret-of-the-control-plane';
const now = new Date('2026-11-24T02:00:00Z');
const grant: MachineGrant = {
  orgId: 'org_1',
  repositoryId: 'rep_1',
  machineId: 'mch_1',
  lease: 3,
  purpose: 'session',
  sessionId: 'ses_1',
  branch: 'warren/ses_1',
  exp: now.getTime() / 1000 + 60,
};

function withPayload(token: string, change: (payload: Record<string, unknown>) => void): string {
  const [prefix, payload, mac] = token.split('.');
  const parsed = JSON.parse(Buffer.from(payload!, 'base64url').toString()) as Record<string, unknown>;
  change(parsed);
  return [prefix, Buffer.from(JSON.stringify(parsed)).toString('base64url'), mac].join('.');
}

describe('machine grants', () => {
  it('refuses a payload changed after signing', () => {
    const altered = withPayload(signGrant(SECRET, grant), (payload) => {
      payload.branch = 'main';
    });
    expect(verifyGrant(SECRET, altered, now)).toEqual({ ok: false, reason: 'bad_signature' });
  });

  it('refuses a grant signed with another secret', () => {
    expect(verifyGrant(SECRET, signGrant('another secret', grant), now)).toEqual({ ok: false, reason: 'bad_signature' });
  });

  it('refuses a grant from the moment it expires', () => {
    const token = signGrant(SECRET, grant);
    expect(verifyGrant(SECRET, token, new Date(grant.exp * 1000))).toEqual({ ok: false, reason: 'expired' });
    expect(verifyGrant(SECRET, token, new Date(grant.exp * 1000 - 1)).ok).toBe(true);
  });

  it('refuses a well signed payload that is no grant', () => {
    const payload = Buffer.from(JSON.stringify({ ...grant, purpose: 'admin' })).toString('base64url');
    const mac = createHmac('sha256', SECRET).update(`wg1.${payload}`).digest('base64url');
    expect(verifyGrant(SECRET, `wg1.${payload}.${mac}`, now)).toEqual({ ok: false, reason: 'malformed' });
  });

  it('refuses a version it does not know, even with a MAC over the same payload', () => {
    expect(verifyGrant(SECRET, signGrant(SECRET, grant).replace(/^wg1/, 'wg2'), now)).toEqual({ ok: false, reason: 'malformed' });
  });

  it('never throws and never accepts arbitrary text', () => {
    fc.assert(fc.property(fc.string(), (text) => verifyGrant(SECRET, text, now).ok === false));
    fc.assert(fc.property(fc.string(), fc.string(), (a, b) => verifyGrant(SECRET, `wg1.${a}.${b}`, now).ok === false));
  });

  it('gives back what was signed', () => {
    expect(verifyGrant(SECRET, signGrant(SECRET, grant), now)).toEqual({ ok: true, grant });
  });
});
