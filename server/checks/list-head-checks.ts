import type { Change, CheckState } from '../../prisma/generated/client.ts';
import type { Tx } from '../db.ts';

export type HeadCheck = { name: string; state: CheckState };

/** Checks of each change's newest commit, in the order of its file, by the change's id. */
export async function listHeadChecks(
  tx: Tx,
  changes: readonly Pick<Change, 'id' | 'headSha'>[],
): Promise<Map<string, HeadCheck[]>> {
  const headOf = new Map(changes.map(({ id, headSha }) => [id, headSha]));
  const checks = await tx.check.findMany({
    where: { changeId: { in: [...headOf.keys()] }, commitSha: { in: [...headOf.values()] } },
    select: { changeId: true, commitSha: true, name: true, state: true },
    orderBy: { createdAt: 'asc' },
  });
  // One change's newest commit may be an older one of another's.
  const ofHeads = checks.filter(({ changeId, commitSha }) => headOf.get(changeId!) === commitSha);
  const byChange = Map.groupBy(ofHeads, ({ changeId }) => changeId!);
  return new Map([...byChange].map(([id, rows]) => [id, rows.map(({ name, state }) => ({ name, state }))]));
}
