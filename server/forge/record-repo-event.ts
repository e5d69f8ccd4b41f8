import type { Change, Prisma } from '../../prisma/generated/client.ts';
import type { Tx } from '../db.ts';
import { newId } from '../ids.ts';

export type NewRepoEvent = {
  kind: 'push' | 'check_failed' | 'check_passed' | 'review_comment' | 'merged' | 'closed';
  commitSha: string;
  /** The sender's own id of it, unique in the repository: the same delivery twice fails instead of counting twice. */
  deliveryId: string;
  payload: Prisma.InputJsonObject;
};

/** Keeps one thing that happened to a change; returns its id. */
export async function recordRepoEvent(
  tx: Tx,
  { orgId, repositoryId, id: changeId }: Pick<Change, 'orgId' | 'repositoryId' | 'id'>,
  event: NewRepoEvent,
): Promise<string> {
  const id = newId('repoEvent');
  await tx.repoEvent.create({ data: { id, orgId, repositoryId, changeId, ...event } });
  return id;
}
