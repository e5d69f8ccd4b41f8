/*
 * What a host is, for everyone who names one: the settings page, the API, the policy and the proxy read hosts with this file and
 * no other. It runs in browsers too, so it leans on nothing but the URL standard, which both implement.
 */
declare const canonical: unique symbol;

/**
 * A DNS name in the one form that is compared: lower case, ASCII (IDN encoded), no trailing dot, no port. Only `parseHost` makes
 * one, so that policy, log and dialling can never disagree about what a name means.
 */
export type CanonicalHost = string & { readonly [canonical]: true };

export type ParsedHost = { kind: 'name'; name: CanonicalHost } | { kind: 'address'; address: string };

/** Letters and digits of any script, hyphen, underscore, dot: percent signs, `@`, NUL, spaces and slashes never get further. */
const TEXT = /^[\p{L}\p{N}\p{M}._-]+$/u;
const BRACKETED = /^\[[0-9a-f:.]+\]$/i;
/** What a URL parser makes of every spelling of an IPv4 address. */
const DOTTED = /^(\d{1,3}\.){3}\d{1,3}$/;
const LABEL = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/;

/**
 * Reads a host as a hostile client may write it; null when it is not one. IPv4 in any spelling that a resolver might
 * take (decimal, octal, hexadecimal, short) and bracketed IPv6 come back as `address`.
 */
export function parseHost(text: string): ParsedHost | null {
  if (text.length === 0 || text.length > 300) return null;
  if (text.startsWith('[')) {
    if (!BRACKETED.test(text)) return null;
    const address = hostOfUrl(text)?.slice(1, -1);
    return address ? { kind: 'address', address } : null;
  }
  if (!TEXT.test(text)) return null;
  const host = hostOfUrl(text)?.replace(/\.$/, '');
  if (!host) return null;
  if (DOTTED.test(host)) return { kind: 'address', address: host };
  const labels = host.split('.');
  if (host.length > 253 || !labels.every((label) => LABEL.test(label))) return null;
  // A last label that is a number belongs to an address that did not parse; resolvers differ on those.
  if (/^(\d+|0x[0-9a-f]*)$/.test(labels.at(-1) ?? '')) return null;
  return { kind: 'name', name: host as CanonicalHost };
}

/** The host as the URL standard writes it; null when it is none, or when something else of a URL came with it. */
function hostOfUrl(host: string): string | null {
  try {
    return new URL(`http://${host}/`).hostname;
  } catch {
    return null;
  }
}

/** `host:port` of a CONNECT request; the port must be written out. Null when it is not one. */
export function parseAuthority(text: string): { host: ParsedHost; port: number } | null {
  const match = /^(\[[^\]]*\]|[^:]*):(\d{1,5})$/.exec(text);
  const host = match?.[1] ? parseHost(match[1]) : null;
  const port = Number(match?.[2]);
  return host && port >= 1 && port <= 65535 ? { host, port } : null;
}

/** An allow-list entry: a name, or `*.` and a name for its subdomains. */
export type HostPattern = { name: CanonicalHost; subdomains: boolean };

/** Null for anything that is not a name: such a rule allows nothing. */
export function parsePattern(text: string): HostPattern | null {
  const subdomains = text.startsWith('*.');
  const parsed = parseHost(subdomains ? text.slice(2) : text);
  return parsed?.kind === 'name' ? { name: parsed.name, subdomains } : null;
}

export function formatPattern({ name, subdomains }: HostPattern): string {
  return subdomains ? `*.${name}` : name;
}

export function matchesPattern({ name, subdomains }: HostPattern, host: CanonicalHost): boolean {
  return subdomains ? host.length > name.length + 1 && host.endsWith(`.${name}`) : host === name;
}
