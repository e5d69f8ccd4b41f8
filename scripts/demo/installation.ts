import type { Settings } from '../settings.ts';
import { type Api, signIn } from './client.ts';

/*
 * What the scripts that drive a demo installation share.
 */
export const TASK =
  'The tests of this repository fail. Find out why, fix the code (not the tests), run the tests again, commit and push.';
const SAMPLE = /^sample(-\d+)?$/;

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

/** The slug of a sample repository that still fails: one into which nothing was merged, or a new one. */
export async function failingSample(api: Api, org: string): Promise<string> {
  const [repositories, changes] = await Promise.all([api.repositories.list.query({ org }), api.changes.list.query({ org })]);
  const repaired = new Set(changes.filter(({ state }) => state === 'merged').map(({ repositoryId }) => repositoryId));
  const samples = repositories.filter(({ slug }) => SAMPLE.test(slug));
  const failing = samples.find(({ id }) => !repaired.has(id));
  if (failing) return failing.slug;
  const name = `Sample ${samples.length + 1}`;
  return (await api.repositories.create.mutate({ org, name, content: 'sample' })).slug;
}
