import { EGRESS_REASONS, type EgressReason } from '../../hostd/contract/egress.ts';

/** hostd's word for why a request went through or did not, in people's words. */
const REASONS: Record<EgressReason, string> = {
  service: 'Warren’s own service',
  rule: 'a rule',
  inspect: 'TLS is looked into',
  not_listed: 'host not on the list',
  private_address: 'leads to a private address',
  bad_host: 'not a host name',
  bad_port: 'port not allowed',
  address: 'an address, not a name',
  method: 'method not allowed',
  body: 'a body to a read-only service',
  path: 'path not allowed',
  bad_path: 'ambiguous path',
  websocket: 'WebSocket not allowed',
  nested: 'tunnel inside a tunnel',
  host_mismatch: 'another host inside the tunnel',
  sni: 'TLS for another host',
  tls: 'no TLS could be agreed on',
  bad_request: 'not a request',
  too_large: 'too large',
  too_many: 'too many connections',
  rate: 'too many in a minute',
  idle: 'silent for too long',
  headers_too_large: 'headers too large',
  upstream_error: 'no answer',
  untrusted: 'certificate not trusted',
  no_policy: 'rules not there yet',
  log_full: 'log not collected',
};

export function describeReason(reason: string): string {
  return isReason(reason) ? REASONS[reason] : reason;
}

function isReason(reason: string): reason is EgressReason {
  return (EGRESS_REASONS as readonly string[]).includes(reason);
}
