import { createTRPCClient, httpLink } from '@trpc/client';
import superjson from 'superjson';
import type { AppRouter } from '../../server/api/root.ts';

export type Api = ReturnType<typeof createTRPCClient<AppRouter>>;

/** Signs in as a person would, with email and password, and returns the typed API with that sign-in's cookie. */
export async function signIn(url: string, email: string, password: string): Promise<Api> {
  const reply = await fetch(`${url}/api/auth/password`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', origin: url },
    body: JSON.stringify({ email, password }),
  });
  if (!reply.ok) throw new Error(`Sign-in as ${email} was refused: ${reply.status} ${await reply.text()}`);
  const cookie = reply.headers
    .getSetCookie()
    .map((line) => line.split(';')[0])
    .join('; ');
  return createTRPCClient<AppRouter>({
    links: [httpLink({ url: `${url}/api/trpc`, transformer: superjson, headers: { cookie, origin: url } })],
  });
}
