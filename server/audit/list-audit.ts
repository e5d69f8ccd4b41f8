import type { Tx } from '../db.ts';

const PAGE_ROWS = 100;

/** One page of the audit log, newest first. @param before id of the last row already seen */
export async function listAudit(tx: Tx, before?: string) {
  const rows = await tx.auditEntry.findMany({
    where: before ? { id: { lt: BigInt(before) } } : {},
    orderBy: { id: 'desc' },
    take: PAGE_ROWS,
  });
  const people = await tx.user.findMany({
    where: { id: { in: [...new Set(rows.map((row) => row.actor))] } },
    select: { id: true, name: true, email: true },
  });
  const nameOf = new Map(people.map((person) => [person.id, person.name ?? person.email]));
  return {
    rows: rows.map(({ id, actor, action, target, details, at }) => ({
      id: id.toString(),
      actor,
      actorName: nameOf.get(actor) ?? actor,
      action,
      target,
      details,
      at,
    })),
    /** Give this as `before` for the next page; null on the last. */
    next: rows.length === PAGE_ROWS ? rows.at(-1)!.id.toString() : null,
  };
}
