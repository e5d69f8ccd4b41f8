import { type CanonicalHost, type ParsedHost, parseAuthority } from '../contract/canonical-host.ts';

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

/** A tunnel whose requests are read here. */
export type Tunnel = { host: CanonicalHost; port: number; secure: boolean; isService: boolean };

/** Reads `authority` and what follows it; a missing port is 80. Null for a rest that is no path. */
function toTarget(authority: string, rest: string): Target | null {
  const parsed = parseAuthority(withPort(authority, 80));
  const host = parsed?.host ?? null;
  return withPath({ host, port: parsed?.port ?? 0, shown: nameOf(host) ?? authority }, rest.startsWith('/') ? rest : `/${rest}`);
}

function withPath(about: Pick<Target, 'host' | 'port' | 'shown'>, path: string): Target | null {
  if (!URL.canParse(`http://path.invalid${path}`)) return null;
  return { ...about, rawPath: path.split('?', 1)[0] ?? '/', url: new URL(`http://path.invalid${path}`) };
}

function withPort(authority: string, port: number): string {
  return /:\d*$/.test(authority) ? authority.replace(/:$/, `:${port}`) : `${authority}:${port}`;
}

/** The target of an absolute request line. The authority is cut out by hand: what a URL parser would repair must be refused. */
export function targetOfLine(line: string): Target | null {
  const match = /^http:\/\/([^/?#\\]*)(.*)$/i.exec(line);
  return match?.[1] ? toTarget(match[1], match[2] ?? '') : null;
}

/** The target of a request line inside a tunnel, which has a path and nothing else. */
export function targetInTunnel({ host, port }: Tunnel, line: string): Target | null {
  return line.startsWith('/') ? withPath({ host: { kind: 'name', name: host }, port, shown: host }, line) : null;
}

/** Whether a request's `Host` is the tunnel's. Services answer under the tunnel's name, whatever is asked inside. */
export function isForTunnel({ host, port, secure, isService }: Tunnel, header: string | undefined): boolean {
  if (isService) return true;
  const named = parseAuthority(withPort(header ?? '', secure ? 443 : 80));
  return named?.host.kind === 'name' && named.host.name === host && named.port === port;
}

export function nameOf(host: ParsedHost | null): string | null {
  if (!host) return null;
  return host.kind === 'name' ? host.name : host.address;
}
