import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';
import tls from 'node:tls';
import { type CanonicalHost, parseHost } from './canonical-host.ts';
import type { Service } from './decide.ts';
import type { Upstream } from './forward.ts';
import { serviceHeaders } from './headers.ts';

const NPM_HOST = 'npm.warren.internal';

/** hostd's own services: the npm registry, read only. */
export function ownServices({ npmUpstream }: { npmUpstream: string | undefined }): Service[] {
  if (!npmUpstream) return [];
  const parsed = parseHost(NPM_HOST);
  if (parsed?.kind !== 'name') throw new Error(`${NPM_HOST} is not a host name`);
  return [{ host: parsed.name as CanonicalHost, upstream: new URL(npmUpstream), headers: {}, readOnly: true }];
}

// Upstreams are known and few, so connections to them are kept; TLS trusts what this computer trusts.
const agents = {
  http: new http.Agent({ keepAlive: true, maxFreeSockets: 8, timeout: 10 * 60_000 }),
  https: new https.Agent({
    keepAlive: true,
    maxFreeSockets: 8,
    timeout: 10 * 60_000,
    secureContext: tls.createSecureContext({ ca: [...tls.getCACertificates('default'), ...tls.getCACertificates('system')] }),
  }),
};

/** Where a request to a service goes: the guest's path, normalised, below the service's. Private upstreams are meant. */
export function toServiceUpstream(service: Service, req: IncomingMessage, path: Pick<URL, 'pathname' | 'search'>): Upstream {
  const { upstream } = service;
  const secure = upstream.protocol === 'https:';
  const headers = { ...serviceHeaders(req.headers, service.headers), host: upstream.host };
  return {
    secure,
    reason: 'service',
    host: service.host,
    port: 80,
    options: {
      agent: secure ? agents.https : agents.http,
      method: req.method,
      hostname: upstream.hostname.replace(/^\[|\]$/g, ''),
      port: upstream.port || (secure ? 443 : 80),
      path: upstream.pathname.replace(/\/$/, '') + path.pathname + path.search,
      headers,
    },
  };
}
