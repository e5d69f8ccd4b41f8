import { createHash, timingSafeEqual } from 'node:crypto';
import { HostdError } from '../errors.ts';

const digest = (text: string) => createHash('sha256').update(text).digest();

/** Throws `unauthorized` unless the header carries the token. Compares in constant time, also for a wrong length. */
export function requireToken(authorization: string | undefined, token: string): void {
  const given = /^Bearer (.+)$/.exec(authorization ?? '')?.[1];
  if (given === undefined || !timingSafeEqual(digest(given), digest(token))) {
    throw new HostdError('unauthorized', {
      message: 'missing or wrong bearer token: HOSTD_TOKEN must be the same on both sides',
    });
  }
}
