import type { Prisma, Session } from '../../prisma/generated/client.ts';
import type { Role } from '../auth/roles.ts';
import { type Db, type SystemDb, withOrg } from '../db.ts';
import { newId } from '../ids.ts';
import { createPersonWithOrg } from '../orgs/sign-up.ts';

/*
 * Builders for database tests: each makes one thing through the same doors as the product, with what the test names and
 * something sensible for the rest.
 */
export type TestOrg = { orgId: string; slug: string; ownerId: string };

/** An organization with its owner, who has no password. */
export async function anOrg(db: Db, { name = 'Acme' }: { name?: string } = {}): Promise<TestOrg> {
  const { orgId, orgSlug, userId } = await createPersonWithOrg(db, { orgName: name }, async (tx) => {
    const person = { id: newId('user'), email: `${newId('user')}@example.com`, name: `Owner of ${name}` };
    await tx.user.create({ data: person });
    return person;
  });
  return { orgId, slug: orgSlug, ownerId: userId };
}

/** Another person in the organization. */
export async function aMember(db: Db, orgId: string, role: Role): Promise<string> {
  const userId = newId('user');
  await withOrg(db, orgId, async (tx) => {
    await tx.user.create({ data: { id: userId, email: `${userId}@example.com`, name: `A ${role}` } });
    await tx.member.create({ data: { id: newId('member'), orgId, userId, role } });
  });
  return userId;
}

export async function aRepository(db: Db, orgId: string, { slug = 'sample' }: { slug?: string } = {}): Promise<string> {
  const id = newId('repository');
  await withOrg(db, orgId, (tx) => tx.repository.create({ data: { id, orgId, slug, name: slug } }));
  return id;
}

/** A session row in any state, as if it had come there on its own. */
export async function aSession(db: Db, org: TestOrg, set: Partial<Prisma.SessionUncheckedCreateInput> = {}): Promise<Session> {
  const id = newId('session');
  return withOrg(db, org.orgId, (tx) =>
    tx.session.create({
      data: {
        id,
        orgId: org.orgId,
        repositoryId: newId('repository'),
        createdById: org.ownerId,
        title: 'A task',
        state: 'running',
        branch: `warren/${id}`,
        baseSha: 'a'.repeat(40),
        agentName: 'codex',
        modelName: 'demo',
        scripted: true,
        ...set,
      },
    }),
  );
}

export type TestJob = { name: string; state: string; data: unknown };

/** Jobs of a session (or of another key), in the order they were added. */
export async function jobsOf(systemDb: SystemDb, key: string): Promise<TestJob[]> {
  return systemDb.$queryRaw<TestJob[]>`
    select name, state::text, data from pgboss.job where singleton_key = ${key} order by created_on`;
}

/** A session's open change with a check and a thread, and a template of its repository. */
export async function aReviewedChange(db: Db, { orgId, repositoryId, id: sessionId, branch }: Session, commitSha: string | null) {
  const headSha = commitSha ?? 'b'.repeat(40);
  const ids = { change: newId('change'), check: newId('check'), thread: newId('thread'), template: newId('template') };
  await withOrg(db, orgId, async (tx) => {
    await tx.change.create({
      data: {
        id: ids.change,
        orgId,
        repositoryId,
        sessionId,
        number: 1,
        title: 'A change',
        branch,
        baseBranch: 'main',
        baseSha: headSha,
        headSha,
      },
    });
    const check = { changeId: ids.change, commitSha: headSha, name: 'test', command: 'npm test', state: 'failed' as const };
    await tx.check.create({ data: { id: ids.check, orgId, repositoryId, ...check } });
    const place = { path: 'README.md', line: 1, commitSha: headSha, lineText: '# Corner shop' };
    await tx.reviewThread.create({ data: { id: ids.thread, orgId, changeId: ids.change, ...place } });
    await tx.template.create({
      data: { id: ids.template, orgId, repositoryId, state: 'ready', commitSha: headSha, environment: {} },
    });
  });
  return { change: { number: 1, headSha }, checkId: ids.check, threadId: ids.thread, templateId: ids.template };
}
