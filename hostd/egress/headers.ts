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

type Headers = Record<string, string | string[]>;

/** Headers that may travel on, in either direction. Names that `Connection` lists are dropped with it. */
export function endToEndHeaders(headers: IncomingHttpHeaders): Headers {
  const listed = new Set((headers.connection ?? '').toLowerCase().split(/[\s,]+/));
  const kept: Headers = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined && !HOP_BY_HOP.has(name) && !listed.has(name)) kept[name] = value;
  }
  return kept;
}

/** Headers of a request to a service: the guest's without its claims to be someone, then the injected ones in their place. */
export function serviceHeaders(headers: IncomingHttpHeaders, injected: Readonly<Record<string, string>>): Headers {
  const kept = Object.fromEntries(Object.entries(endToEndHeaders(headers)).filter(([name]) => !GUEST_CLAIMS.test(name)));
  const lowered = Object.entries(injected).map(([name, value]) => [name.toLowerCase(), value]);
  return { ...kept, ...Object.fromEntries(lowered) };
}
