import { describe, expect, it } from 'vitest';
import { hostdEnv } from './settings.ts';

describe('what hostd is started with', () => {
  it('holds its own settings and none of the control plane’s secrets', () => {
    const env = {
      NODE_ENV: 'test',
      PATH: '/bin',
      HOSTD_TOKEN: 'token',
      AWS_ACCESS_KEY_ID: 'for the object store',
      DATABASE_URL: 'x',
      DATABASE_SYSTEM_URL: 'x',
      NEXTAUTH_SECRET: 'x',
      WARREN_SECRETS_KEY: 'x',
      WARREN_GRANT_SECRET: 'x',
      OPENAI_API_KEY: 'x',
      GITHUB_SECRET: 'x',
    } as const;
    expect(Object.keys(hostdEnv(env))).toEqual(['NODE_ENV', 'PATH', 'HOSTD_TOKEN', 'AWS_ACCESS_KEY_ID']);
  });
});
