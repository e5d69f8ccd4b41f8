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
/** Requests of a git client with a token that is not valid, from one address. */
export const TOKEN_LIMIT: Limit = { name: 'token', attemptsMax: 100, windowMs: 15 * MINUTE_MS };
/** Requests of one person's git; a fetch or push makes two or three. */
export const GIT_LIMIT: Limit = { name: 'git', attemptsMax: 600, windowMs: 10 * MINUTE_MS };

// Hashed, so that the table holds no list of who tried to sign in.
function keyOf(limit: Limit, parts: string[]): string {
  return `${limit.name}:${createHash('sha256').update(parts.join('\n')).digest('base64url')}`;
}

/**
 * Takes one attempt before it is made: those made at the same moment count too. In PostgreSQL, because there may be many
 * web processes.
 *
 * @throws rate_limited when the attempts of this window are used up; the message says for how long
 */
export async function takeAttempt({ people }: Db, limit: Limit, parts: string[], now: Date): Promise<void> {
  await people.rateLimit.deleteMany({ where: { resetAt: { lte: now } } });
  const key = keyOf(limit, parts);
  const { count, resetAt } = await people.rateLimit.upsert({
    where: { key },
    create: { key, count: 1, resetAt: new Date(now.getTime() + limit.windowMs) },
    update: { count: { increment: 1 } },
  });
  if (count <= limit.attemptsMax) return;
  const minutes = Math.ceil((resetAt.getTime() - now.getTime()) / MINUTE_MS);
  throw new AppError('rate_limited', {
    publicMessage: `Too many attempts. Try again in ${minutes} ${minutes === 1 ? 'minute' : 'minutes'}.`,
  });
}

/** Gives back an attempt that turned out to be legitimate. */
export async function returnAttempt({ people }: Db, limit: Limit, parts: string[]): Promise<void> {
  await people.rateLimit.updateMany({ where: { key: keyOf(limit, parts) }, data: { count: { decrement: 1 } } });
}
