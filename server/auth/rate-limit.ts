import { createHash } from 'node:crypto';
import type { Db } from '../db.ts';
import { AppError } from '../errors.ts';

/** Attempts allowed per key within a window. */
export type Limit = { name: string; attemptsMax: number; windowMs: number };

const MINUTE_MS = 60_000;

/** Failed sign-ins for one email from one address. */
export const SIGN_IN_LIMIT: Limit = { name: 'sign-in', attemptsMax: 10, windowMs: 15 * MINUTE_MS };
/** Failed sign-ins from one address, whichever email. */
export const SIGN_IN_ADDRESS_LIMIT: Limit = { name: 'sign-in-address', attemptsMax: 100, windowMs: 15 * MINUTE_MS };
/** New accounts from one address. */
export const SIGN_UP_LIMIT: Limit = { name: 'sign-up', attemptsMax: 60, windowMs: 60 * MINUTE_MS };

// Hashed, so that the table holds no list of who tried to sign in.
function keyOf(limit: Limit, parts: string[]): string {
  return `${limit.name}:${createHash('sha256').update(parts.join('\n')).digest('base64url')}`;
}

/** Counts one attempt. Kept in PostgreSQL, because there may be many web processes. */
export async function countAttempt({ people }: Db, limit: Limit, parts: string[], now: Date): Promise<void> {
  const resetAt = new Date(now.getTime() + limit.windowMs);
  await people.$queryRaw`
    insert into "RateLimit" (key, count, "resetAt") values (${keyOf(limit, parts)}, 1, ${resetAt})
    on conflict (key) do update set
      count = case when "RateLimit"."resetAt" <= ${now} then 1 else "RateLimit".count + 1 end,
      "resetAt" = case when "RateLimit"."resetAt" <= ${now} then excluded."resetAt" else "RateLimit"."resetAt" end
    returning count`;
}

/** @throws rate_limited when the attempts of this window are used up; the message says for how long */
export async function requireAttemptsLeft({ people }: Db, limit: Limit, parts: string[], now: Date): Promise<void> {
  const row = await people.rateLimit.findUnique({ where: { key: keyOf(limit, parts) } });
  if (!row || row.resetAt <= now || row.count < limit.attemptsMax) return;
  const minutes = Math.ceil((row.resetAt.getTime() - now.getTime()) / MINUTE_MS);
  throw new AppError('rate_limited', {
    publicMessage: `Too many attempts. Try again in ${minutes} ${minutes === 1 ? 'minute' : 'minutes'}.`,
  });
}
