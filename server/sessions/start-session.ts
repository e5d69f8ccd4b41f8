import type { Session } from '../../prisma/generated/client.ts';
import { withOrg } from '../db.ts';
import { AppError, notFound } from '../errors.ts';
import { repositoryDir } from '../forge/layout.ts';
import { describeProvider } from '../gateway/provider.ts';
import { findCommit } from '../repositories/bare-repository.ts';
import type { Services } from '../services.ts';
import { createSession, type NewSession } from './create-session.ts';

export type StartSession = Pick<NewSession, 'org' | 'actor' | 'prompt' | 'title'> & { repositorySlug: string };

/**
 * A session on a repository's default branch as it is now.
 *
 * @throws not_found, policy_denied, or bad_request when the repository has no commit yet
 */
export async function startSession(
  { db, forgeDir, models, agentName }: Pick<Services, 'db' | 'forgeDir' | 'models' | 'agentName'>,
  { repositorySlug, ...input }: StartSession,
): Promise<Session> {
  const { id: orgId } = input.org;
  const repository = await withOrg(db, orgId, (tx) => tx.repository.findFirst({ where: { slug: repositorySlug } }));
  if (!repository) throw notFound('repository');
  // Between two transactions, because git is slow and a transaction holds a connection.
  const baseSha = await findCommit(repositoryDir(forgeDir, orgId, repository.id), repository.defaultBranch);
  if (baseSha === null) {
    throw new AppError('bad_request', {
      publicMessage: `${repository.name} has no commits on ${repository.defaultBranch} yet. Push one first, then start a session.`,
    });
  }
  const { model, scripted } = describeProvider(models);
  return withOrg(db, orgId, (tx) =>
    createSession(tx, { ...input, repositoryId: repository.id, baseSha, model: { name: model, scripted }, agentName }),
  );
}
