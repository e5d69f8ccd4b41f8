import type { AuthOptions } from 'next-auth';
import type { Env } from '../env.ts';
import type { Services } from '../services.ts';
import { createAuthAdapter } from './adapter.ts';
import { githubProvider } from './github.ts';
import { AUTH_SESSION_SECONDS, isSecureOrigin } from './session.ts';

/** next-auth's settings: database sessions, GitHub when it is configured. Passwords go through handle-password-sign-in.ts. */
export function createAuthOptions(
  services: Services,
  env: Pick<Env, 'NEXTAUTH_SECRET' | 'GITHUB_ID' | 'GITHUB_SECRET' | 'GITHUB_URL'>,
): AuthOptions {
  const { GITHUB_ID: clientId, GITHUB_SECRET: clientSecret, GITHUB_URL: url } = env;
  return {
    adapter: createAuthAdapter(services.db),
    session: { strategy: 'database', maxAge: AUTH_SESSION_SECONDS },
    secret: env.NEXTAUTH_SECRET,
    useSecureCookies: isSecureOrigin(services.url),
    providers: clientId && clientSecret ? [githubProvider({ clientId, clientSecret, url })] : [],
    pages: { signIn: '/sign-in', error: '/sign-in' },
  };
}
