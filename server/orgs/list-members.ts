import type { Role } from '../auth/roles.ts';
import type { Tx } from '../db.ts';

export type MemberView = { userId: string; name: string; email: string; role: Role; since: Date };

export async function listMembers(tx: Tx): Promise<MemberView[]> {
  const members = await tx.member.findMany({
    include: { user: { select: { name: true, email: true } } },
    orderBy: { createdAt: 'asc' },
  });
  return members.map(({ userId, role, createdAt, user }) => ({
    userId,
    name: user.name ?? user.email,
    email: user.email,
    role,
    since: createdAt,
  }));
}
