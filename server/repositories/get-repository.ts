import type { Repository, Template } from '../../prisma/generated/client.ts';
import type { Tx } from '../db.ts';
import { type EnvironmentResult, environmentSchema } from '../environments/environment.ts';
import { notFound } from '../errors.ts';
import { listSessions } from '../sessions/list-sessions.ts';
import { type CommitInfo, commitInfo, findCommit } from './bare-repository.ts';
import { environmentAt } from './environment-at.ts';

/** @throws not_found */
export async function requireRepository(tx: Tx, slug: string): Promise<Repository> {
  const repository = await tx.repository.findFirst({ where: { slug } });
  if (!repository) throw notFound('repository');
  return repository;
}

/** What git knows about a repository's default branch; `head` is null while it has no commits. */
export type RepositoryHead = { head: CommitInfo | null; environment: EnvironmentResult };

export async function readHead(gitDir: string, defaultBranch: string): Promise<RepositoryHead> {
  const sha = await findCommit(gitDir, defaultBranch);
  if (!sha) return { head: null, environment: { ok: true, environment: environmentSchema.parse({}) } };
  const [head, environment] = await Promise.all([commitInfo(gitDir, sha), environmentAt(gitDir, sha)]);
  return { head, environment };
}

/** The database's part of a repository's page. */
export async function getRepositoryRows(tx: Tx, repository: Repository) {
  const [templates, changes, sessions] = await Promise.all([
    tx.template.findMany({
      where: { repositoryId: repository.id },
      orderBy: { createdAt: 'desc' },
      take: 5,
      select: { id: true, state: true, commitSha: true, failure: true, createdAt: true, readyAt: true },
    }),
    tx.change.findMany({ where: { repositoryId: repository.id, state: 'open' }, orderBy: { number: 'desc' }, take: 100 }),
    listSessions(tx, { repositoryId: repository.id }),
  ]);
  const [latest] = templates;
  return {
    repository,
    template: latest ?? null,
    /** A session can start at once. */
    ready: templates.some(({ state }) => state === 'ready'),
    openChanges: changes,
    sessions,
  };
}

export type RepositorySummary = Pick<Repository, 'id' | 'slug' | 'name' | 'provider' | 'defaultBranch' | 'createdAt'> & {
  openChanges: number;
  sessions: number;
  templateState: Template['state'] | null;
};

const REPOSITORIES_MAX = 500;

/** The first by name. */
export async function listRepositories(tx: Tx): Promise<RepositorySummary[]> {
  const repositories = await tx.repository.findMany({ orderBy: { name: 'asc' }, take: REPOSITORIES_MAX });
  const ids = repositories.map(({ id }) => id);
  const [changes, sessions, templates] = await Promise.all([
    tx.change.groupBy({ by: ['repositoryId'], where: { state: 'open' }, _count: true }),
    tx.session.groupBy({ by: ['repositoryId'], _count: true }),
    // Prisma would read every template there ever was and pick the newest itself.
    tx.$queryRaw<{ repositoryId: string; state: Template['state'] | null }[]>`
      select repository.id as "repositoryId", (
        select state::text from "Template" where "repositoryId" = repository.id order by "createdAt" desc limit 1
      ) as state
      from "Repository" repository where repository.id = any(${ids})`,
  ]);
  const countOf = (groups: { repositoryId: string; _count: number }[], id: string) =>
    groups.find(({ repositoryId }) => repositoryId === id)?._count ?? 0;
  return repositories.map(({ id, slug, name, provider, defaultBranch, createdAt }) => ({
    id,
    slug,
    name,
    provider,
    defaultBranch,
    createdAt,
    openChanges: countOf(changes, id),
    sessions: countOf(sessions, id),
    templateState: templates.find(({ repositoryId }) => repositoryId === id)?.state ?? null,
  }));
}
