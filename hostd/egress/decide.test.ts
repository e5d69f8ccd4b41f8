import { describe, expect, it } from 'vitest';
import { parseHost } from '../contract/canonical-host.ts';
import { type EgressPolicyInput, egressPolicySchema } from '../contract/egress.ts';
import { compilePolicy, DENY_ALL, decideEgress, type EgressRequest } from './decide.ts';
import { ownServices } from './services.ts';

const POLICY = compilePolicy(
  egressPolicySchema.parse({
    services: [
      { host: 'git.warren.internal', upstream: 'http://127.0.0.1:7401/git', headers: { authorization: 'Bearer x' } },
      { host: 'models.warren.internal', upstream: 'http://127.0.0.1:7401/models', headers: {} },
      { host: 'npm.warren.internal', upstream: 'http://127.0.0.1:9/stolen', headers: {} },
    ],
    allow: [
      { host: 'github.com', ports: [443] },
      { host: '*.example.com', ports: [80, 443] },
      { host: 'example.com', ports: [8443] },
      { host: '169.254.169.254', ports: [80] },
      { host: 'bad host', ports: [80] },
      { host: 'git.warren.internal', ports: [443] },
    ],
  }),
  ownServices({ npmUpstream: 'https://registry.npmjs.org/', debianMirror: 'http://mirror.test/{archive}' }),
);

const decide = (kind: EgressRequest['kind'], host: string, port: number, method = kind === 'connect' ? 'CONNECT' : 'GET') =>
  decideEgress(POLICY, { kind, method, body: false, host: parseHost(host), port, path: kind === 'connect' ? null : '/' });

describe('decideEgress', () => {
  it.each([
    ['http', 'git.warren.internal', 80],
    ['http', 'GIT.warren.internal.', 80],
    ['connect', 'git.warren.internal', 80],
    ['http', 'models.warren.internal', 80],
    ['http', 'npm.warren.internal', 80],
    ['http', 'debian.warren.internal', 80],
    ['http', 'debian-security.warren.internal', 80],
  ] as const)('%s %s:%i is a service', (kind, host, port) => {
    expect(decide(kind, host, port)).toMatchObject({ decision: 'allow', reason: 'service' });
  });

  it.each([
    ['connect', 'github.com', 443],
    ['connect', 'GITHUB.COM', 443],
    ['connect', 'github.com.', 443],
    ['http', 'a.example.com', 80],
    ['connect', 'a.b.example.com', 443],
    ['connect', 'example.com', 8443],
  ] as const)('%s %s:%i is allowed by a rule', (kind, host, port) => {
    expect(decide(kind, host, port)).toMatchObject({ decision: 'allow', reason: 'rule' });
  });

  it.each([
    ['connect', 'evil.com', 443, 'not_listed'],
    ['http', 'evil.com', 80, 'not_listed'],
    ['connect', 'evilgithub.com', 443, 'not_listed'],
    ['connect', 'api.github.com', 443, 'not_listed'],
    ['connect', 'github.com.evil.com', 443, 'not_listed'],
    ['http', 'localhost', 80, 'not_listed'],
    ['http', 'warren.internal', 80, 'not_listed'],
    ['http', 'x.warren.internal', 80, 'not_listed'],
    ['connect', 'github.com', 22, 'bad_port'],
    ['http', 'github.com', 80, 'bad_port'],
    ['connect', 'example.com', 443, 'bad_port'],
    ['connect', 'git.warren.internal', 443, 'bad_port'],
    ['http', 'git.warren.internal', 7401, 'bad_port'],
    ['connect', '127.0.0.1', 443, 'address'],
    ['http', '169.254.169.254', 80, 'address'],
    ['http', '2852039166', 80, 'address'],
    ['http', '0xa9.0xfe.0xa9.0xfe', 80, 'address'],
    ['http', '[::ffff:169.254.169.254]', 80, 'address'],
    ['connect', '8.8.8.8', 443, 'address'],
    ['connect', '[2606:4700::1111]', 443, 'address'],
    ['http', 'github.com\0.evil.com', 80, 'bad_host'],
    ['http', 'a@github.com', 443, 'bad_host'],
    ['http', 'bad host', 80, 'bad_host'],
    ['http', '', 80, 'bad_host'],
    ['websocket', 'a.example.com', 80, 'websocket'],
    ['websocket', 'models.warren.internal', 80, 'websocket'],
    ['websocket', 'evil.com', 80, 'not_listed'],
  ] as const)('%s %j:%i is denied: %s', (kind, host, port, reason) => {
    expect(decide(kind, host, port)).toEqual({ decision: 'deny', reason });
  });

  it.each(['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'])('the npm registry cannot be asked to %s', (method) => {
    expect(decide('http', 'npm.warren.internal', 80, method)).toEqual({ decision: 'deny', reason: 'method' });
  });

  it.each(['TRACE', 'TRACK', 'DEBUG'])('%s, which answers with what it was sent, is denied everywhere', (method) => {
    expect(decide('http', 'git.warren.internal', 80, method)).toEqual({ decision: 'deny', reason: 'method' });
    expect(decide('http', 'a.example.com', 80, method)).toEqual({ decision: 'deny', reason: 'method' });
  });

  it('lets a service take any other method', () => {
    expect(decide('http', 'git.warren.internal', 80, 'POST')).toMatchObject({ decision: 'allow' });
  });

  it("keeps hostd's own service whatever the control plane names", () => {
    const decision = decide('http', 'npm.warren.internal', 80);
    expect(decision).toMatchObject({ service: { upstream: new URL('https://registry.npmjs.org/') } });
  });

  it('denies everything without a policy', () => {
    const request = {
      kind: 'connect',
      method: 'CONNECT',
      body: false,
      host: parseHost('github.com'),
      port: 443,
      path: null,
    } as const;
    expect(decideEgress(DENY_ALL, request)).toEqual({ decision: 'deny', reason: 'not_listed' });
  });
});

describe('rules about requests', () => {
  const ask = (allow: EgressPolicyInput['allow'], what: string, kind: EgressRequest['kind'] = 'http') => {
    const [method = '', host = '', path = ''] = what.split(' ');
    const policy = compilePolicy(egressPolicySchema.parse({ services: [], allow }), []);
    const decision = decideEgress(policy, { kind, method, body: false, host: parseHost(host), port: 443, path: path || null });
    return decision.decision === 'allow' && decision.reason === 'rule' ? decision.rule.id : decision.reason;
  };
  const inspect = { ports: [443], mode: 'inspect' as const };
  const API: EgressPolicyInput['allow'] = [
    { id: 'read', host: 'api.test', ...inspect, methods: ['GET'], paths: ['/v1/**', '/'] },
    { id: 'write', host: 'api.test', ...inspect, methods: ['POST'], paths: ['/v1/items'] },
    { id: 'live', host: 'live.test', ...inspect, webSocket: true, paths: ['/socket'] },
  ];

  it.each([
    ['GET api.test /v1/a', 'read'],
    ['HEAD api.test /v1/a', 'read'],
    ['GET api.test /', 'read'],
    ['GET api.test /%76%31/a', 'read'],
    ['POST api.test /v1/items', 'write'],
    ['POST api.test /v1/items/', 'method'],
    ['DELETE api.test /v1/items', 'method'],
    ['get api.test /v1/a', 'method'],
    ['GET api.test /v2', 'path'],
    ['GET api.test /V1/a', 'path'],
    ['GET api.test /v1/../v2', 'bad_path'],
    ['GET api.test /v1/%2e%2e/v2', 'bad_path'],
    ['GET api.test //v1/a', 'bad_path'],
    ['GET api.test /v1%2fa', 'bad_path'],
    ['GET api.test.evil.test /v1/a', 'not_listed'],
  ])('%s: %s', (what, expected) => {
    expect(ask(API, what)).toBe(expected);
  });

  it('sends on the path that was compared', () => {
    const policy = compilePolicy(egressPolicySchema.parse({ services: [], allow: API }), []);
    const request = {
      kind: 'http',
      method: 'GET',
      body: false,
      host: parseHost('api.test'),
      port: 443,
      path: '/v1/%61%2d%c3',
    } as const;
    expect(decideEgress(policy, request)).toMatchObject({ path: '/v1/a-%C3' });
  });

  it('lets WebSocket through only where a rule says so', () => {
    expect(ask(API, 'GET live.test /socket', 'websocket')).toBe('live');
    expect(ask(API, 'GET live.test /other', 'websocket')).toBe('path');
    expect(ask(API, 'GET api.test /v1/a', 'websocket')).toBe('websocket');
  });

  it('opens tunnels to look into for inspected hosts, and no other kind', () => {
    expect(ask(API, 'CONNECT api.test', 'connect')).toBe('inspect');
    expect(ask([...API, { id: 'all', host: 'api.test', ports: [443] }], 'CONNECT api.test', 'connect')).toBe('inspect');
    expect(ask([...API, { id: 'all', host: 'api.test', ports: [443] }], 'DELETE api.test /')).toBe('method');
  });

  it('asks only the most specific pattern that names the host', () => {
    const allow: EgressPolicyInput['allow'] = [
      { id: 'wide', host: '*.test', ports: [443] },
      { id: 'narrow', host: '*.api.test', ...inspect, methods: ['GET'] },
      { id: 'exact', host: 'v1.api.test', ports: [8443] },
    ];
    expect(ask(allow, 'POST other.test /')).toBe('wide');
    expect(ask(allow, 'GET v2.api.test /')).toBe('narrow');
    expect(ask(allow, 'POST v2.api.test /')).toBe('method');
    expect(ask(allow, 'GET v1.api.test /')).toBe('bad_port');
  });

  it.each([
    { methods: ['GET' as const] },
    { paths: ['/'] },
    { webSocket: true },
    { mode: 'inspect' as const, paths: ['/a/../b'] },
    { mode: 'inspect' as const, paths: ['/a', 'b'] },
  ])('a rule that cannot be held to allows nothing: %j', (rule) => {
    expect(ask([{ host: 'api.test', ports: [443], ...rule }], 'GET api.test /')).toBe('not_listed');
  });
});
