/**
 * The address a request came from, for rate limits: the last of `x-forwarded-for`, which is the one that the proxy before us
 * saw. Proxies append, so everything before it is what the client claims. server/index.ts sets the header where no proxy does.
 */
export function clientAddress(forwardedFor: string | string[] | null | undefined): string {
  return [forwardedFor].flat().join(',').split(',').at(-1)?.trim() || 'unknown';
}
