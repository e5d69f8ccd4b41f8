import { recordAudit } from '../audit/record.ts';
import { withOrg } from '../db.ts';
import { publishNotice } from '../realtime/publish.ts';
import { requestTemplate } from '../templates/request-template.ts';
import type { ForgeRepository } from './find-repository.ts';
import type { GitDeps } from './handle-git.ts';
import { NO_OBJECT } from './refs.ts';

export type PersonPush = {
  orgId: string;
  repository: ForgeRepository;
  userId: string;
  tokenId: string;
  /** As the post-receive hook wrote it: `old new ref`, a line each. */
  moved: string;
};

export type MovedRef = { ref: string; from: string | null; to: string | null };

const AUDITED_REFS_MAX = 50;

export function parseMoved(text: string): MovedRef[] {
  const orNull = (sha: string) => (sha === NO_OBJECT ? null : sha);
  return text
    .split('\n')
    .map((line) => /^([0-9a-f]{40}) ([0-9a-f]{40}) (.+)$/.exec(line))
    .filter((match) => match !== null)
    .map(([, from = '', to = '', ref = '']) => ({ ref, from: orNull(from), to: orNull(to) }));
}

/** Writes down what a person's push moved. A new head of the default branch gets its template, so that sessions start at once. */
export async function recordPersonPush(deps: GitDeps, push: PersonPush): Promise<void> {
  const { orgId, repository, userId, tokenId } = push;
  const moved = parseMoved(push.moved);
  await withOrg(deps.db, orgId, async (tx) => {
    const refs = moved.slice(0, AUDITED_REFS_MAX);
    await recordAudit(tx, {
      orgId,
      actor: userId,
      action: 'git.pushed',
      target: repository.id,
      details: { token: tokenId, refs, count: moved.length },
    });
    publishNotice(tx, { kind: 'repository', orgId, repositoryId: repository.id });
  });
  deps.logger.info({ event: 'git.pushed', orgId, repositoryId: repository.id, userId, refs: moved.length }, 'push recorded');
  if (!moved.some(({ ref, to }) => ref === `refs/heads/${repository.defaultBranch}` && to !== null)) return;
  // What is wrong with the environment file is told on the repository's page and at the next session.
  await requestTemplate(deps, { orgId, repositoryId: repository.id });
}
