import http, { type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { DenyReason } from './decide.ts';

export type RefusalReason =
  | DenyReason
  | 'private_address'
  | 'upstream_error'
  | 'too_large'
  | 'too_many'
  | 'no_policy'
  | 'log_full';

const STATUS: Partial<Record<RefusalReason, number>> = {
  bad_path: 400,
  upstream_error: 502,
  too_large: 413,
  too_many: 503,
  no_policy: 503,
  log_full: 503,
};

const WHY: Record<RefusalReason, string> = {
  bad_host: 'this is not a valid host name',
  bad_port: 'the host is known, but not this port (names ending in .warren.internal are plain http on port 80)',
  address: 'addresses are never allowed, only names',
  not_listed: 'the host is not on the allow-list of your organization',
  method: 'the host is on the allow-list, but not with this method on this path',
  path: 'the host is on the allow-list, but not this path',
  bad_path: 'servers read this path in different ways, and the rule for this host is about paths',
  websocket: 'WebSocket connections are allowed only where a rule says so',
  nested: 'a tunnel inside a tunnel is never allowed',
  private_address: 'the name leads to a private address, which is never allowed',
  upstream_error: 'the host did not answer',
  too_large: 'the request is too large',
  too_many: 'too many connections are open',
  log_full:
    'decisions about this machine are not being collected, and what cannot be logged does not happen; is the worker running?',
  no_policy: 'its host was started anew and waits for the organization’s rules; try again in a few seconds',
};

const FIXABLE: readonly RefusalReason[] = ['not_listed', 'bad_port', 'method', 'path', 'websocket'];

export type Refusal = { status: number; body: string };

/** What the program in the machine gets to read, and with it the agent and the person behind it. */
export function refusal(reason: RefusalReason, host: string, port: number, detail?: string): Refusal {
  const lines = [`Warren did not let this machine reach ${host}:${port}: ${WHY[reason]}.`];
  if (detail) lines.push(detail);
  if (FIXABLE.includes(reason)) {
    lines.push(
      'An admin of the organization can allow it: Settings, Egress; or one click on this line in the session’s Egress tab.',
    );
  }
  return { status: STATUS[reason] ?? 403, body: `${lines.join('\n')}\n` };
}

const TEXT = { 'content-type': 'text/plain; charset=utf-8', connection: 'close' };

export function answer(res: ServerResponse, { status, body }: Refusal): void {
  res.writeHead(status, TEXT).end(body);
}

/** The same to a stream that no response belongs to. Lets go of it after, also of a peer that would keep its half open. */
export function endWith(stream: Duplex, { status, body }: Refusal): void {
  const head = [
    `HTTP/1.1 ${status} ${http.STATUS_CODES[status]}`,
    ...Object.entries(TEXT).map(([name, value]) => `${name}: ${value}`),
    `content-length: ${Buffer.byteLength(body)}`,
  ];
  stream.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => stream.destroy());
}
