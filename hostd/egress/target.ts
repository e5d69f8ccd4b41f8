import { type ParsedHost, parseAuthority } from '../contract/canonical-host.ts';

/** What a request line asks for. */
export type Target = {
  /** Null when what the guest wrote is not a host. */
  host: ParsedHost | null;
  port: number;
  /** The host as it shows in messages and the log. */
  shown: string;
  /** As written, without the query. */
  rawPath: string;
  /** As a URL parser reads it, with the query. */
  url: Pick<URL, 'pathname' | 'search'>;
};

/** Reads `authority` and what follows it; a missing port is 80. Null for a rest that is no path. */
export function toTarget(authority: string, rest: string): Target | null {
  const parsed = parseAuthority(/:\d*$/.test(authority) ? authority.replace(/:$/, ':80') : `${authority}:80`);
  const host = parsed?.host ?? null;
  const path = rest.startsWith('/') ? rest : `/${rest}`;
  if (!URL.canParse(`http://path.invalid${path}`)) return null;
  return {
    host,
    port: parsed?.port ?? 0,
    shown: nameOf(host) ?? authority,
    rawPath: path.split('?', 1)[0] ?? '/',
    url: new URL(`http://path.invalid${path}`),
  };
}

/** The target of an absolute request line. The authority is cut out by hand: what a URL parser would repair must be refused. */
export function targetOfLine(line: string): Target | null {
  const match = /^http:\/\/([^/?#\\]*)(.*)$/i.exec(line);
  return match?.[1] ? toTarget(match[1], match[2] ?? '') : null;
}

export function nameOf(host: ParsedHost | null): string | null {
  if (!host) return null;
  return host.kind === 'name' ? host.name : host.address;
}
