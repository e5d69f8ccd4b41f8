import type { IncomingMessage } from 'node:http';
import https from 'node:https';
import type { SecureContext } from 'node:tls';
import { parseHost } from '../contract/canonical-host.ts';
import { ARCHIVES, archiveHost, archiveUrl } from '../guest/image/mirror.ts';
import type { Service } from './decide.ts';
import type { Upstream } from './forward.ts';
import { serviceHeaders } from './headers.ts';

const NPM_HOST = 'npm.warren.internal';
/** Git pushes are the largest requests; models think for minutes. Not the organization's to change: without them no agent works. */
const SERVICE_LIMITS = { requestBytesMax: 512 * 1024 * 1024, responseBytesMax: Number.POSITIVE_INFINITY, idleMsMax: 15 * 60_000 };

export type OwnServices = { npmUpstream: string | undefined; debianMirror?: string | undefined };

/** hostd's own services, read only: the npm registry and Debian's archives. */
export function ownServices({ npmUpstream, debianMirror }: OwnServices): Service[] {
  const upstreams: [host: string, upstream: string][] = npmUpstream ? [[NPM_HOST, npmUpstream]] : [];
  if (debianMirror) for (const archive of ARCHIVES) upstreams.push([archiveHost(archive), archiveUrl(debianMirror, archive)]);
  return upstreams.map(([host, upstream]) => {
    const parsed = parseHost(host);
    if (parsed?.kind !== 'name') throw new Error(`${host} is not a host name`);
    return { host: parsed.name, upstream: new URL(upstream), headers: {}, readOnly: true };
  });
}

/**
 * The connections of one machine to services over TLS, whose handshakes are worth keeping: `npm install` asks hundreds of times.
 * Never of two: what one leaves on a connection must not be where another's request begins.
 */
export function serviceAgent(trust: SecureContext): https.Agent {
  return new https.Agent({ keepAlive: true, maxFreeSockets: 8, secureContext: trust });
}

/**
 * Where a request to a service goes: the guest's path, normalised, below the service's. Private upstreams are meant. Plain HTTP is
 * the control plane next door: a fresh connection costs nothing there, and a push must not die on one that was closed while idle.
 */
export function toServiceUpstream(
  service: Service,
  req: IncomingMessage,
  path: Pick<URL, 'pathname' | 'search'>,
  agent: https.Agent,
): Upstream {
  const { upstream } = service;
  const secure = upstream.protocol === 'https:';
  const headers = { ...serviceHeaders(req.headers, service.headers), host: upstream.host };
  return {
    secure,
    reason: 'service',
    host: service.host,
    port: 80,
    limits: SERVICE_LIMITS,
    options: {
      agent: secure ? agent : false,
      method: req.method,
      hostname: upstream.hostname.replace(/^\[|\]$/g, ''),
      port: upstream.port || (secure ? 443 : 80),
      path: upstream.pathname.replace(/\/$/, '') + path.pathname + path.search,
      headers,
    },
  };
}
