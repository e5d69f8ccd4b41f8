import type { Prisma } from '../../prisma/generated/client.ts';

type Rows = Pick<Prisma.TransactionClient, '$queryRaw' | 'host' | 'machine' | 'snapshot'>;

/**
 * Whose host this is: the organization that was there first, as long as a machine or snapshot of it is. The caller's own
 * machine has its row, so whoever comes to a host that is nobody's holds it from here on. The host's row is locked until the
 * transaction ends: of two organizations that come at once one is first.
 *
 * @returns null when there is no such host
 */
export async function holdHost(tx: Rows, hostId: string, orgId: string): Promise<string | null> {
  const [row] = await tx.$queryRaw<{ holderOrgId: string | null }[]>`
    select "holderOrgId" from "Host" where id = ${hostId} for update`;
  if (!row) return null;
  if (row.holderOrgId !== null && (await hasAnything(tx, hostId, row.holderOrgId))) return row.holderOrgId;
  const holderOrgId = (await findOldest(tx, hostId)) ?? orgId;
  await tx.host.update({ where: { id: hostId }, data: { holderOrgId } });
  return holderOrgId;
}

async function hasAnything(tx: Rows, hostId: string, orgId: string): Promise<boolean> {
  const counts = [
    await tx.machine.count({ where: { hostId, orgId, endedAt: null } }),
    await tx.snapshot.count({ where: { hostId, orgId, deletedAt: null } }),
  ];
  return counts.some((count) => count > 0);
}

/** The organization of the oldest machine or snapshot: several may be there from when weak isolation was allowed. */
async function findOldest(tx: Rows, hostId: string): Promise<string | null> {
  const oldest = { select: { orgId: true, createdAt: true }, orderBy: { createdAt: 'asc' } } as const;
  const machine = await tx.machine.findFirst({ where: { hostId, endedAt: null }, ...oldest });
  const snapshot = await tx.snapshot.findFirst({ where: { hostId, deletedAt: null }, ...oldest });
  if (machine === null || snapshot === null) return (machine ?? snapshot)?.orgId ?? null;
  return snapshot.createdAt < machine.createdAt ? snapshot.orgId : machine.orgId;
}
