import { systemClock } from '../server/clock.ts';
import { createDb, type Db, withOrg } from '../server/db.ts';
import { signUp } from '../server/orgs/sign-up.ts';
import { createRepository } from '../server/repositories/create-repository.ts';
import { requestTemplate } from '../server/templates/request-template.ts';
import { findMembership } from '../server/tenancy/find-membership.ts';

/** The organization a first `npm start` makes, so that there is something to sign in to. Made once; never changed again. */
export const DEMO = {
  email: 'demo@warren.local',
  name: 'Demo Developer',
  orgName: 'Demo',
  orgSlug: 'demo',
  repositoryName: 'Sample',
};

export type SeedInput = { databaseUrl: string; forgeDir: string; password: string };

/**
 * Makes the demo organization with the sample repository where it is missing, and asks for the repository's template so
 * that it is built while the person looks around.
 */
export async function seedDemo({
  databaseUrl,
  forgeDir,
  password,
}: SeedInput): Promise<{ email: string; password: string; orgSlug: string }> {
  const db = createDb(databaseUrl, { connectionsMax: 2 });
  try {
    const { userId, orgId } = await findOrSignUp(db, password);
    const found = await withOrg(db, orgId, (tx) => tx.repository.findFirst({ orderBy: { createdAt: 'asc' } }));
    const repository =
      found ??
      (await createRepository(
        { db, forgeDir, clock: systemClock },
        { orgId, userId, name: DEMO.repositoryName, content: 'sample' },
      ));
    await requestTemplate({ db, forgeDir }, { orgId, repositoryId: repository.id });
    return { email: DEMO.email, password, orgSlug: DEMO.orgSlug };
  } finally {
    await db.close();
  }
}

async function findOrSignUp(db: Db, password: string): Promise<{ userId: string; orgId: string }> {
  const user = await db.people.user.findUnique({ where: { email: DEMO.email } });
  if (!user) return signUp(db, { email: DEMO.email, password, name: DEMO.name, orgName: DEMO.orgName });
  const membership = await findMembership(db, user.id, DEMO.orgSlug);
  if (!membership) throw new Error(`${DEMO.email} is in no organization ${DEMO.orgSlug}: start with --no-seed`);
  return { userId: user.id, orgId: membership.org.id };
}
