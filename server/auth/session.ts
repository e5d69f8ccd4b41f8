import { randomBytes } from 'node:crypto';
import type { Db } from '../db.ts';

/** A browser's sign-in, as next-auth's database strategy stores it: both ways of signing in make the same row and cookie. */
export const AUTH_SESSION_SECONDS = 30 * 24 * 60 * 60;

export type SignedInUser = { id: string; email: string; name: string };

const COOKIE_NAME = 'next-auth.session-token';

// Ours are base64url, next-auth's are UUIDs: nothing that cookies escape.
const TOKEN = /^[\w-]{1,200}$/;

/** Browsers accept a cookie named `__Secure-` only over https. Same rule as next-auth's. */
export function isSecureOrigin(warrenUrl: string): boolean {
  return warrenUrl.startsWith('https:');
}

export function sessionCookieName(warrenUrl: string): string {
  return isSecureOrigin(warrenUrl) ? `__Secure-${COOKIE_NAME}` : COOKIE_NAME;
}

export async function createAuthSession(db: Db, userId: string, now: Date): Promise<{ token: string; expires: Date }> {
  const token = randomBytes(32).toString('base64url');
  const expires = new Date(now.getTime() + AUTH_SESSION_SECONDS * 1000);
  await db.people.authSession.deleteMany({ where: { userId, expires: { lte: now } } });
  await db.people.authSession.create({ data: { sessionToken: token, userId, expires } });
  return { token, expires };
}

/** The Set-Cookie header for a sign-in. */
export function sessionCookie(warrenUrl: string, { token, expires }: { token: string; expires: Date }): string {
  const attributes = ['Path=/', 'HttpOnly', 'SameSite=Lax', `Expires=${expires.toUTCString()}`];
  if (isSecureOrigin(warrenUrl)) attributes.push('Secure');
  return [`${sessionCookieName(warrenUrl)}=${token}`, ...attributes].join('; ');
}

/** The session token among a request's cookies, or null. */
export function readSessionToken(cookieHeader: string | null | undefined, warrenUrl: string): string | null {
  const wanted = `${sessionCookieName(warrenUrl)}=`;
  const found = (cookieHeader ?? '')
    .split(';')
    .map((part) => part.trim())
    .find((part) => part.startsWith(wanted));
  const token = found?.slice(wanted.length) ?? '';
  return TOKEN.test(token) ? token : null;
}

/** Who holds this token; null when it is unknown, expired or was signed out. */
export async function findSignedInUser(db: Db, token: string | null, now: Date): Promise<SignedInUser | null> {
  if (!token) return null;
  const row = await db.people.authSession.findUnique({ where: { sessionToken: token }, include: { user: true } });
  if (!row || row.expires <= now) return null;
  return { id: row.user.id, email: row.user.email, name: row.user.name ?? row.user.email };
}
