import type { Organization } from '../../prisma/generated/client.ts';
import type { Role } from '../auth/roles.ts';
import { type Db, withUser } from '../db.ts';

export type Membership = { org: Organization; role: Role; memberId: string };

/** The person's membership in the organization with this slug, or null: not a member and no such organization look alike. */
export async function findMembership(db: Db, userId: string, slug: string): Promise<Membership | null> {
  const row = await withUser(db, userId, (tx) =>
    tx.member.findFirst({ where: { userId, org: { slug } }, include: { org: true } }),
  );
  return row ? { org: row.org, role: row.role, memberId: row.id } : null;
}

/** Every organization the person is a member of, by name. */
export async function listMemberships(db: Db, userId: string): Promise<Membership[]> {
  const rows = await withUser(db, userId, (tx) =>
    tx.member.findMany({ where: { userId }, include: { org: true }, orderBy: { org: { name: 'asc' } } }),
  );
  return rows.map((row) => ({ org: row.org, role: row.role, memberId: row.id }));
}
