import type { DenyReason } from './decide.ts';

export type RefusalReason = DenyReason | 'private_address' | 'upstream_error' | 'too_large' | 'too_many';

const STATUS: Partial<Record<RefusalReason, number>> = { upstream_error: 502, too_large: 413, too_many: 503 };

const WHY: Record<RefusalReason, string> = {
  bad_host: 'this is not a valid host name',
  bad_port: 'the host is known, but not this port (names ending in .warren.internal are plain http on port 80)',
  address: 'addresses are never allowed, only names',
  not_listed: 'the host is not on the allow-list of your organization',
  method: 'this service can only be read',
  websocket: 'WebSocket connections are not allowed out of a machine',
  private_address: 'the name leads to a private address, which is never allowed',
  upstream_error: 'the host did not answer',
  too_large: 'the request is too large',
  too_many: 'too many connections are open',
};

const FIXABLE: readonly RefusalReason[] = ['not_listed', 'bad_port'];

/** What the program in the machine gets to read, and with it the agent and the person behind it. */
export function refusal(reason: RefusalReason, host: string, port: number, detail?: string): { status: number; body: string } {
  const lines = [`Warren did not let this machine reach ${host}:${port}: ${WHY[reason]}.`];
  if (detail) lines.push(detail);
  if (FIXABLE.includes(reason)) {
    lines.push(`An admin of the organization can allow it: add {"host":"${host}","ports":[${port}]} to egress in its policy.`);
  }
  return { status: STATUS[reason] ?? 403, body: `${lines.join('\n')}\n` };
}
