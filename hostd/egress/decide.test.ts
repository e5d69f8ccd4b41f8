import { describe, expect, it } from 'vitest';
import { parseHost } from './canonical-host.ts';
import { compilePolicy, DENY_ALL, decideEgress, type EgressRequest } from './decide.ts';
import { ownServices } from './services.ts';

const POLICY = compilePolicy(
  {
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
  },
  ownServices({ npmUpstream: 'https://registry.npmjs.org/', debianMirror: 'http://mirror.test/{archive}' }),
);

const decide = (kind: EgressRequest['kind'], host: string, port: number, method = kind === 'connect' ? 'CONNECT' : 'GET') =>
  decideEgress(POLICY, { kind, method, host: parseHost(host), port });

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

  it('lets a service take any method', () => {
    expect(decide('http', 'git.warren.internal', 80, 'POST')).toMatchObject({ decision: 'allow' });
  });

  it("keeps hostd's own service whatever the control plane names", () => {
    const decision = decide('http', 'npm.warren.internal', 80);
    expect(decision).toMatchObject({ service: { upstream: new URL('https://registry.npmjs.org/') } });
  });

  it('denies everything without a policy', () => {
    const request = { kind: 'connect', method: 'CONNECT', host: parseHost('github.com'), port: 443 } as const;
    expect(decideEgress(DENY_ALL, request)).toEqual({ decision: 'deny', reason: 'not_listed' });
  });
});
