import type { OAuthConfig } from 'next-auth/providers/oauth';
import { z } from 'zod';

/*
 * Sign-in with github.com, or with a GitHub Enterprise Server at an address of its own. Both speak the same protocol at
 * other places; who somebody is comes from the primary address that GitHub itself has verified, never from the profile.
 */
export type GitHubSettings = { clientId: string; clientSecret: string; url: string };

export const GITHUB_URL = 'https://github.com';
const REQUEST_MS_MAX = 10_000;

const emailsSchema = z.array(z.object({ email: z.email(), primary: z.boolean(), verified: z.boolean() }));
const profileSchema = z.looseObject({
  id: z.number().int(),
  login: z.string(),
  name: z.string().nullish(),
  avatar_url: z.url().nullish(),
});

/** github.com has its API on a host of its own, an Enterprise Server below its address. */
export function githubApiUrl(url: string): string {
  return url === GITHUB_URL ? 'https://api.github.com' : `${url}/api/v3`;
}

/** The address to know the person by, or null when GitHub has verified none. */
export function primaryEmail(reply: unknown): string | null {
  const emails = emailsSchema.safeParse(reply).data ?? [];
  return emails.find(({ primary, verified }) => primary && verified)?.email.toLowerCase() ?? null;
}

type Person = { sub: string; name: string; email: string; image?: string };

export function githubProvider({ clientId, clientSecret, url }: GitHubSettings): OAuthConfig<Person> {
  const api = githubApiUrl(url);
  return {
    id: 'github',
    name: 'GitHub',
    type: 'oauth',
    clientId,
    clientSecret,
    issuer: `${url}/login/oauth`,
    authorization: { url: `${url}/login/oauth/authorize`, params: { scope: 'read:user user:email' } },
    token: `${url}/login/oauth/access_token`,
    userinfo: { url: `${api}/user`, request: ({ tokens }) => whoIs(api, tokens.access_token ?? '') },
    profile: ({ sub, ...person }) => ({ id: sub, ...person }),
  };
}

async function whoIs(api: string, token: string): Promise<Person> {
  const [profile, emails] = await Promise.all([askGitHub(`${api}/user`, token), askGitHub(`${api}/user/emails`, token)]);
  const email = primaryEmail(emails);
  if (email === null) throw new Error('GitHub has no verified primary email address for this person');
  const { id, login, name, avatar_url: image } = profileSchema.parse(profile);
  return { sub: String(id), name: name || login, email, ...(image ? { image } : {}) };
}

async function askGitHub(url: string, token: string): Promise<unknown> {
  const headers = { authorization: `Bearer ${token}`, accept: 'application/vnd.github+json', 'user-agent': 'warren' };
  const reply = await fetch(url, { headers, signal: AbortSignal.timeout(REQUEST_MS_MAX) });
  if (!reply.ok) throw new Error(`${url} answered ${reply.status}`);
  return reply.json();
}
