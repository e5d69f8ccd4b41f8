import type { Template } from '../../prisma/generated/client.ts';
import type { Tx } from '../db.ts';

/** The newest template of a repository that machines can be forked from, or null. */
export async function findReadyTemplate(tx: Tx, repositoryId: string): Promise<Template | null> {
  return tx.template.findFirst({ where: { repositoryId, state: 'ready' }, orderBy: { createdAt: 'desc' } });
}
