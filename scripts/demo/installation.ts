import type { Settings } from '../settings.ts';
import { type Api, signIn } from './client.ts';

/*
 * What the scripts that drive a demo installation share.
 */
export const TASK =
  'The tests of this repository fail. Find out why, fix the code (not the tests), run the tests again, commit and push.';
export const REPOSITORY = 'sample';

export async function isUp({ url }: Settings): Promise<boolean> {
  return fetch(`${url}/healthz`).then(
    (reply) => reply.ok,
    () => false,
  );
}

export async function signInToDemo({ url, secrets }: Settings): Promise<{ api: Api; org: string }> {
  const { DEMO } = await import('../../prisma/seed.ts');
  return { api: await signIn(url, DEMO.email, secrets.demoPassword), org: DEMO.orgSlug };
}
