import type { IncomingHttpHeaders } from 'node:http';

/** RFC 9110 7.6.1, and what only a proxy may read. */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  // The proxy has answered it already.
  'expect',
]);

/** Who asks is decided outside the machine. */
const GUEST_CLAIMS = /^(authorization|cookie|forwarded|x-forwarded-.*|x-real-ip|x-warren-.*)$/;

export type Headers = Record<string, string | string[]>;

/** By these some servers take another method or path than the request's. Some read `_` as `-`. */
const OVERRIDES = /^x-(http-method|http-method-override|method-override|original-ur[li]|rewrite-ur[li])$/;

/** Headers of a request whose method and path were decided about. */
export function withoutOverrides(headers: Headers): Headers {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !OVERRIDES.test(name.replaceAll('_', '-'))));
}

/** Headers that may travel on, in either direction. Names that `Connection` lists are dropped with it. */
export function endToEndHeaders(headers: IncomingHttpHeaders): Headers {
  const listed = new Set((headers.connection ?? '').toLowerCase().split(/[\s,]+/));
  const kept: Headers = {};
  for (const [name, value] of Object.entries(headers)) {
    // Where a body ends is not the connection's to say.
    const isListed = listed.has(name) && name !== 'content-length';
    if (value !== undefined && !HOP_BY_HOP.has(name) && !isListed) kept[name] = value;
  }
  return kept;
}

/** Whether a request brings a body, by what its parser held it to. */
export function hasBody(headers: IncomingHttpHeaders): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

/**
 * Headers that go on, with the end of the body marked as it was in what the machine sent: in chunks, by a length, or none. Node
 * marks none by itself for GET, HEAD, DELETE and OPTIONS, and writes the bytes all the same: the host would read them as another
 * request.
 */
export function framedAs(
  headers: Headers,
  { 'transfer-encoding': chunks, 'content-length': length }: IncomingHttpHeaders,
): Headers {
  const { 'content-length': _length, 'transfer-encoding': _chunks, ...rest } = headers;
  if (chunks !== undefined) return { ...rest, 'transfer-encoding': 'chunked' };
  return length === undefined ? rest : { ...rest, 'content-length': length };
}

/** Headers of a request to a service: the guest's without its claims to be someone, then the injected ones in their place. */
export function serviceHeaders(headers: IncomingHttpHeaders, injected: Readonly<Record<string, string>>): Headers {
  const kept = Object.fromEntries(
    Object.entries(withoutOverrides(endToEndHeaders(headers))).filter(([name]) => !GUEST_CLAIMS.test(name)),
  );
  const lowered = Object.entries(injected).map(([name, value]) => [name.toLowerCase(), value]);
  return { ...kept, ...Object.fromEntries(lowered) };
}
