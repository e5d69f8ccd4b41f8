import {
  type CanonicalHost,
  type HostPattern,
  matchesPattern,
  type ParsedHost,
  parseHost,
  parsePattern,
} from '../contract/canonical-host.ts';
import { EGRESS_LIMITS, type EgressLimits, type EgressMode, type EgressPolicy, type EgressRule } from '../contract/egress.ts';
import { matchesPath, type PathPattern, parsePathPattern, readPath } from '../contract/request-path.ts';

/** A name served by the control plane or by hostd, reached without asking DNS. */
export type Service = {
  host: CanonicalHost;
  upstream: URL;
  headers: Readonly<Record<string, string>>;
  /** Only GET and HEAD pass, without a body. */
  readOnly: boolean;
};

export type Rule = {
  id: string;
  pattern: HostPattern;
  ports: ReadonlySet<number>;
  mode: EgressMode;
  /** Null for any. */
  methods: ReadonlySet<string> | null;
  paths: readonly PathPattern[] | null;
  webSocket: boolean;
  requestBytesMax: number | null;
  responseBytesMax: number | null;
};

/** Added outside the machine to requests to this host, and to no other. */
export type Secret = { id: string; host: CanonicalHost; header: string; value: string; plainHttp: boolean };

/** A policy made ready for comparing. What does not parse in it allows nothing. */
export type CompiledPolicy = {
  services: ReadonlyMap<CanonicalHost, Service>;
  rules: readonly Rule[];
  limits: EgressLimits;
  secrets: readonly Secret[];
};

export const DENY_ALL: CompiledPolicy = { services: new Map(), rules: [], limits: EGRESS_LIMITS, secrets: [] };

/** `own` are hostd's services; the control plane cannot replace them. */
export function compilePolicy(policy: EgressPolicy, own: readonly Service[]): CompiledPolicy {
  const services = new Map<CanonicalHost, Service>();
  for (const { host, upstream, headers } of policy.services) {
    const parsed = parseHost(host);
    if (parsed?.kind === 'name')
      services.set(parsed.name, { host: parsed.name, upstream: new URL(upstream), headers, readOnly: false });
  }
  for (const service of own) services.set(service.host, service);
  return {
    services,
    rules: policy.allow.flatMap((rule) => compileRule(rule) ?? []),
    limits: policy.limits,
    secrets: policy.secrets.flatMap((secret) => {
      const parsed = parseHost(secret.host);
      return parsed?.kind === 'name' ? [{ ...secret, host: parsed.name }] : [];
    }),
  };
}

function compileRule(rule: EgressRule): Rule | null {
  const pattern = parsePattern(rule.host);
  const paths = rule.paths?.map(parsePathPattern) ?? null;
  if (!pattern || paths?.some((path) => path === null)) return null;
  // What cannot be seen cannot be held to it.
  if (rule.mode === 'splice' && (rule.methods || rule.paths || rule.webSocket)) return null;
  return {
    ...rule,
    pattern,
    ports: new Set(rule.ports),
    methods: rule.methods && new Set<string>(rule.methods.includes('GET') ? [...rule.methods, 'HEAD'] : rule.methods),
    paths: paths as PathPattern[] | null,
  };
}

export type EgressRequest = {
  kind: 'http' | 'websocket' | 'connect';
  method: string;
  /** Whether it brings one. */
  body: boolean;
  /** Null when what the guest wrote is not a host. */
  host: ParsedHost | null;
  port: number;
  /** As the guest wrote it, without the query. Null for CONNECT. */
  path: string | null;
};

export type DenyReason =
  | 'bad_host'
  | 'bad_port'
  | 'address'
  | 'not_listed'
  | 'method'
  | 'body'
  | 'path'
  | 'bad_path'
  | 'websocket'
  | 'nested';

export type Decision =
  | { decision: 'allow'; reason: 'service'; service: Service }
  /** `path` is what was compared and what must be sent; null when the rule takes any path. */
  | { decision: 'allow'; reason: 'rule'; host: CanonicalHost; rule: Rule; path: string | null }
  /** A tunnel whose requests are decided one by one. */
  | { decision: 'allow'; reason: 'inspect'; host: CanonicalHost }
  | { decision: 'deny'; reason: DenyReason; detail?: string };

/** What answers these repeats the request, and with it what was added outside the machine. No rule can name them. */
const ECHOING = new Set(['TRACE', 'TRACK', 'DEBUG']);

/** The one decision for every way out of a machine. Pure; whoever dials checks the resolved address as well (dial.ts). */
export function decideEgress(policy: CompiledPolicy, request: EgressRequest): Decision {
  const { kind, method, body, host, port } = request;
  if (!host) return deny('bad_host');
  if (host.kind === 'address') return deny('address');
  const service = policy.services.get(host.name);
  if (service) {
    if (port !== 80) return deny('bad_port');
    if (kind === 'websocket') return deny('websocket');
    if (ECHOING.has(method)) return deny('method');
    if (kind === 'http' && service.readOnly && method !== 'GET' && method !== 'HEAD') return deny('method');
    if (service.readOnly && body) return deny('body');
    return { decision: 'allow', reason: 'service', service };
  }
  const naming = rulesNaming(policy.rules, host.name);
  if (naming.length === 0) return deny('not_listed');
  const onPort = naming.filter(({ ports }) => ports.has(port));
  if (onPort.length === 0) return deny('bad_port');
  const inspecting = onPort.filter(({ mode }) => mode === 'inspect');
  const [first] = onPort;
  if (kind === 'connect') {
    if (inspecting.length > 0) return { decision: 'allow', reason: 'inspect', host: host.name };
    return { decision: 'allow', reason: 'rule', host: host.name, rule: first!, path: null };
  }
  return decideRequest(inspecting.length > 0 ? inspecting : onPort, host.name, request);
}

/**
 * The rules of the most specific pattern that names the host, and no others: who writes `api.example.com` beside
 * `*.example.com` means it to be an exception.
 */
function rulesNaming(rules: readonly Rule[], host: CanonicalHost): Rule[] {
  const naming = rules.filter(({ pattern }) => matchesPattern(pattern, host));
  const specific = ({ pattern }: Rule) => (pattern.subdomains ? pattern.name.length : Number.POSITIVE_INFINITY);
  const most = Math.max(...naming.map(specific));
  return naming.filter((rule) => specific(rule) === most);
}

/** One request against rules of which any may allow it. */
function decideRequest(rules: readonly Rule[], host: CanonicalHost, { kind, method, path }: EgressRequest): Decision {
  const read = readPath(path ?? '');
  const onPath = rules.filter(
    ({ paths }) => paths === null || (read.ok && paths.some((pattern) => matchesPath(pattern, read.path))),
  );
  if (onPath.length === 0) return read.ok ? deny('path') : deny('bad_path', read.why);
  const ofMethod = onPath.filter(({ methods }) => (methods === null ? !ECHOING.has(method) : methods.has(method)));
  if (ofMethod.length === 0) return deny('method');
  const rule = ofMethod.find(({ webSocket }) => kind !== 'websocket' || webSocket);
  if (!rule) return deny('websocket');
  return { decision: 'allow', reason: 'rule', host, rule, path: rule.paths && read.ok ? read.path : null };
}

/** Secrets of a request to `host`; `secure` when TLS carries it there. */
export function secretsFor(policy: CompiledPolicy, host: CanonicalHost, secure: boolean): Secret[] {
  return policy.secrets.filter((secret) => secret.host === host && (secure || secret.plainHttp));
}

function deny(reason: DenyReason, detail?: string): Decision {
  return { decision: 'deny', reason, ...(detail ? { detail } : {}) };
}
