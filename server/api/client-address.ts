/** The address a request came from. server/index.ts replaces what the client claims, see there. */
export function clientAddress(headers: Headers): string {
  return headers.get('x-forwarded-for')?.split(',')[0]?.trim() || 'unknown';
}
