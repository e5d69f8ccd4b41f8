import type { EgressPolicy } from '../contract/machines.ts';
import {
  type CanonicalHost,
  type HostPattern,
  matchesPattern,
  type ParsedHost,
  parseHost,
  parsePattern,
} from './canonical-host.ts';

/** A name served by the control plane or by hostd, reached without asking DNS. */
export type Service = {
  host: CanonicalHost;
  upstream: URL;
  headers: Readonly<Record<string, string>>;
  /** Only GET and HEAD pass. */
  readOnly: boolean;
};

/** A policy made ready for comparing. What does not parse in it allows nothing. */
export type CompiledPolicy = {
  services: ReadonlyMap<CanonicalHost, Service>;
  rules: readonly { pattern: HostPattern; ports: ReadonlySet<number> }[];
};

export const DENY_ALL: CompiledPolicy = { services: new Map(), rules: [] };

/** `own` are hostd's services; the control plane cannot replace them. */
export function compilePolicy(policy: EgressPolicy, own: readonly Service[]): CompiledPolicy {
  const services = new Map<CanonicalHost, Service>();
  for (const { host, upstream, headers } of policy.services) {
    const parsed = parseHost(host);
    if (parsed?.kind === 'name')
      services.set(parsed.name, { host: parsed.name, upstream: new URL(upstream), headers, readOnly: false });
  }
  for (const service of own) services.set(service.host, service);
  const rules = policy.allow.flatMap(({ host, ports }) => {
    const pattern = parsePattern(host);
    return pattern ? [{ pattern, ports: new Set(ports) }] : [];
  });
  return { services, rules };
}

export type EgressRequest = {
  kind: 'http' | 'websocket' | 'connect';
  method: string;
  /** Null when what the guest wrote is not a host. */
  host: ParsedHost | null;
  port: number;
};

export type DenyReason = 'bad_host' | 'bad_port' | 'address' | 'not_listed' | 'method' | 'websocket';

export type Decision =
  | { decision: 'allow'; reason: 'service'; service: Service }
  | { decision: 'allow'; reason: 'rule'; host: CanonicalHost }
  | { decision: 'deny'; reason: DenyReason };

/** The one decision for every way out of a machine. Pure; whoever dials checks the resolved address as well (dial.ts). */
export function decideEgress(policy: CompiledPolicy, { kind, method, host, port }: EgressRequest): Decision {
  if (!host) return deny('bad_host');
  if (host.kind === 'address') return deny('address');
  const service = policy.services.get(host.name);
  if (service) {
    if (port !== 80) return deny('bad_port');
    if (kind === 'websocket') return deny('websocket');
    if (kind === 'http' && service.readOnly && method !== 'GET' && method !== 'HEAD') return deny('method');
    return { decision: 'allow', reason: 'service', service };
  }
  const matching = policy.rules.filter(({ pattern }) => matchesPattern(pattern, host.name));
  if (matching.length === 0) return deny('not_listed');
  if (!matching.some(({ ports }) => ports.has(port))) return deny('bad_port');
  if (kind === 'websocket') return deny('websocket');
  return { decision: 'allow', reason: 'rule', host: host.name };
}

function deny(reason: DenyReason): Decision {
  return { decision: 'deny', reason };
}
