import { AppError } from '../errors.ts';

/** True when a browser sent this from our own pages. Callers without an Origin are not browsers acting for a page. */
export function isOwnOrigin(origin: string | null | undefined, warrenUrl: string): boolean {
  return origin === new URL(warrenUrl).origin;
}

/**
 * Refuses state-changing requests that another site made a browser send: the cookie alone is no consent.
 *
 * @throws forbidden
 */
export function requireOwnOrigin(headers: Headers, warrenUrl: string): void {
  const origin = headers.get('origin');
  if (isOwnOrigin(origin, warrenUrl)) return;
  throw new AppError('forbidden', {
    publicMessage: `This request did not come from ${new URL(warrenUrl).origin}. Open Warren at that address and try again.`,
    message: `origin ${origin ?? 'missing'} is not ${new URL(warrenUrl).origin}`,
  });
}
