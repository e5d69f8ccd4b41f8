import { describe, expect, it } from 'vitest';
import { isOwnOrigin } from './origin.ts';
import { readSessionToken, sessionCookie } from './session.ts';

const EXPIRES = new Date('2026-02-01T00:00:00Z');

describe('the session cookie', () => {
  it('is bound to https when Warren is served over it', () => {
    expect(sessionCookie('https://w.example', { token: 't', expires: EXPIRES })).toBe(
      '__Secure-next-auth.session-token=t; Path=/; HttpOnly; SameSite=Lax; Expires=Sun, 01 Feb 2026 00:00:00 GMT; Secure',
    );
    expect(sessionCookie('http://localhost:7400', { token: 't', expires: EXPIRES })).not.toMatch(/Secure/);
  });

  it('is found among others, and not taken for one with a longer name', () => {
    expect(readSessionToken('a=1; next-auth.session-token=tok; b=2', 'http://w')).toBe('tok');
    expect(readSessionToken('x-next-auth.session-token=tok', 'http://w')).toBeNull();
    expect(readSessionToken('next-auth.session-token=tok', 'https://w')).toBeNull();
    expect(readSessionToken(null, 'http://w')).toBeNull();
  });

  it.each(['%', '%E0%A4%A', ''])('with a broken value %j is no cookie', (value) => {
    expect(readSessionToken(`next-auth.session-token=${value}`, 'http://w')).toBeNull();
  });
});

describe('isOwnOrigin', () => {
  it.each([
    ['http://localhost:7400', true],
    ['http://localhost:7401', false],
    ['https://localhost:7400', false],
    ['http://localhost:7400.evil.example', false],
    ['null', false],
    ['', false],
    [undefined, false],
  ])('%s -> %s', (origin, own) => {
    expect(isOwnOrigin(origin, 'http://localhost:7400/')).toBe(own);
  });
});
