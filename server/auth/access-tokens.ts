import { createHash, randomBytes } from 'node:crypto';
import { z } from 'zod';
import type { AccessToken } from '../../prisma/generated/client.ts';
import { type AuditAction, recordAudit } from '../audit/record.ts';
import { type Db, withOrg } from '../db.ts';
import { AppError, notFound } from '../errors.ts';
import { newId } from '../ids.ts';
import { listMemberships } from '../tenancy/find-membership.ts';

/*
 * What a person's own git signs in with. A token stands for its person: it may do what their role in each organization
 * allows, or only read. It is shown once; the database has its hash. A plain SHA-256 is enough: there are 256 random bits
 * to guess, not a password.
 */
export const TOKEN_DAYS = [7, 30, 90, 365] as const;
const PREFIX = 'wrn_';
const TOKEN = /^wrn_[\w-]{43}$/;
const TOKENS_MAX = 50;
const DAY_MS = 86_400_000;
/** How exact `lastUsedAt` is: not every request of a clone is worth a write. */
const LAST_USE_MS = 60_000;

export const newTokenSchema = z.object({
  name: z.string().trim().min(1, 'Give it a name, such as the computer it is for.').max(60, 'At most 60 characters.'),
  access: z.enum(['read', 'write']),
  days: z.literal(TOKEN_DAYS),
});

export type TokenSummary = Pick<AccessToken, 'id' | 'name' | 'access' | 'createdAt' | 'expiresAt' | 'lastUsedAt'>;

function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

/** Newest first, those that have expired too, so that people see why one no longer works. */
export async function listTokens({ people }: Db, userId: string): Promise<TokenSummary[]> {
  return people.accessToken.findMany({
    where: { userId },
    orderBy: { createdAt: 'desc' },
    select: { id: true, name: true, access: true, createdAt: true, expiresAt: true, lastUsedAt: true },
  });
}

/** @returns the token itself, which cannot be read again */
export async function createToken(
  db: Db,
  { userId, name, access, days, now }: z.infer<typeof newTokenSchema> & { userId: string; now: Date },
): Promise<{ token: string; id: string; expiresAt: Date }> {
  if ((await db.people.accessToken.count({ where: { userId } })) >= TOKENS_MAX) {
    throw new AppError('conflict', { publicMessage: `You have ${TOKENS_MAX} tokens. Revoke one that you no longer use.` });
  }
  const token = PREFIX + randomBytes(32).toString('base64url');
  const id = newId('accessToken');
  const expiresAt = new Date(now.getTime() + days * DAY_MS);
  await db.people.accessToken.create({ data: { id, userId, name, access, tokenHash: hashOf(token), createdAt: now, expiresAt } });
  await auditEverywhere(db, userId, 'token.created', { id, name, access });
  return { token, id, expiresAt };
}

/** @throws not_found also for somebody else's */
export async function revokeToken(db: Db, { userId, tokenId }: { userId: string; tokenId: string }): Promise<void> {
  const token = await db.people.accessToken.findFirst({ where: { id: tokenId, userId } });
  if (!token) throw notFound('token');
  await db.people.accessToken.deleteMany({ where: { id: tokenId, userId } });
  await auditEverywhere(db, userId, 'token.revoked', token);
}

export type TokenHolder = { tokenId: string; userId: string; access: AccessToken['access'] };

/** Whose token this is; null when it is unknown, revoked or expired. */
export async function findTokenHolder({ people }: Db, token: string, now: Date): Promise<TokenHolder | null> {
  if (!TOKEN.test(token)) return null;
  const row = await people.accessToken.findUnique({ where: { tokenHash: hashOf(token) } });
  if (!row || row.expiresAt <= now) return null;
  if (!row.lastUsedAt || now.getTime() - row.lastUsedAt.getTime() >= LAST_USE_MS) {
    await people.accessToken.updateMany({ where: { id: row.id }, data: { lastUsedAt: now } });
  }
  return { tokenId: row.id, userId: row.userId, access: row.access };
}

/** A token opens every organization its person is in, so each has it in its log. */
async function auditEverywhere(
  db: Db,
  userId: string,
  action: Extract<AuditAction, `token.${string}`>,
  { id, name, access }: Pick<AccessToken, 'id' | 'name' | 'access'>,
): Promise<void> {
  for (const { org } of await listMemberships(db, userId)) {
    await withOrg(db, org.id, (tx) =>
      recordAudit(tx, { orgId: org.id, actor: userId, action, target: id, details: { name, access } }),
    );
  }
}
