import { describe, expect, it } from 'vitest';
import { loadEnv } from './env.ts';

const SECRET = 'x'.repeat(32);
const GOOD = {
  DATABASE_URL: 'postgresql://app@localhost/warren',
  DATABASE_SYSTEM_URL: 'postgresql://system@localhost/warren',
  NEXTAUTH_SECRET: SECRET,
  WARREN_GRANT_SECRET: SECRET,
  WARREN_SECRETS_KEY: SECRET,
  HOSTD_TOKEN: 'token',
  FORGE_DIR: '/data/forge',
};

describe('loadEnv', () => {
  it('fills in what has a default', () => {
    const env = loadEnv(GOOD);
    expect(env).toMatchObject({ WARREN_PORT: 7400, WARREN_URL: 'http://localhost:7400' });
    expect(env.WARREN_TRUST_PROXY).toBe(false);
  });

  it('takes an empty variable for one that is not set', () => {
    expect(loadEnv({ ...GOOD, WARREN_PORT: '', OPENAI_API_KEY: '' })).toMatchObject({ WARREN_PORT: 7400 });
  });

  it('names every variable that is missing or wrong, and what to do', () => {
    const load = () => loadEnv({ ...GOOD, DATABASE_URL: undefined, NEXTAUTH_SECRET: 'short', WARREN_PORT: '99999' });
    expect(load).toThrow('DATABASE_URL is needed: the connection string of the role warren_app');
    expect(load).toThrow('NEXTAUTH_SECRET must be at least 32 characters: make one with `openssl rand -base64 32`');
    expect(load).toThrow('WARREN_PORT');
  });

  it('wants both halves of the GitHub sign-in', () => {
    expect(() => loadEnv({ ...GOOD, GITHUB_ID: 'id' })).toThrow('GITHUB_SECRET');
  });
});
