import type { Repository } from '../../prisma/generated/client.ts';
import { type Db, withOrg } from '../db.ts';

export type ForgeRepository = Pick<Repository, 'id' | 'defaultBranch'>;

/** A repository of this organization that the built-in forge serves, or null. */
export function findBuiltinRepository(
  db: Db,
  orgId: string,
  where: { slug: string; id?: string },
): Promise<ForgeRepository | null> {
  return withOrg(db, orgId, (tx) =>
    tx.repository.findFirst({ where: { ...where, provider: 'builtin' }, select: { id: true, defaultBranch: true } }),
  );
}
