import type { Change } from '../../prisma/generated/client.ts';
import type { Tx } from '../db.ts';
import { AppError, notFound } from '../errors.ts';

export type ChangeKey = { repositoryId: string; number: number };

/** @throws not_found */
export async function requireChange(tx: Tx, { repositoryId, number }: ChangeKey): Promise<Change> {
  const change = await tx.change.findUnique({ where: { repositoryId_number: { repositoryId, number } } });
  if (!change) throw notFound('change');
  return change;
}

/** Reads the change and holds its row until the transaction ends. @throws not_found; conflict when it is merged or closed */
export async function requireOpenChange(tx: Tx, key: ChangeKey): Promise<Change> {
  await tx.$queryRaw`select 1 from "Change" where "repositoryId" = ${key.repositoryId} and number = ${key.number} for no key update`;
  const change = await requireChange(tx, key);
  if (change.state === 'open') return change;
  const by = change.mergedById ? await tx.user.findUnique({ where: { id: change.mergedById }, select: { name: true } }) : null;
  throw new AppError('conflict', {
    publicMessage:
      change.state === 'merged' ? `${by?.name ?? 'Someone'} has merged this change already.` : 'This change has been closed.',
    details: { state: change.state },
  });
}
