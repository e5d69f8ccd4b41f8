import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { FIXABLE_REASONS } from '../contract/egress.ts';
import type { DenyReason } from './decide.ts';

export type RefusalReason =
  | DenyReason
  | 'bad_request'
  | 'headers_too_large'
  | 'host_mismatch'
  | 'private_address'
  | 'upstream_error'
  | 'untrusted'
  | 'too_large'
  | 'too_many'
  | 'rate'
  | 'idle'
  | 'no_policy'
  | 'log_full';

const FORBIDDEN = 403;
const STATUS: Partial<Record<RefusalReason, number>> = {
  bad_request: 400,
  bad_path: 400,
  headers_too_large: 431,
  host_mismatch: 421,
  upstream_error: 502,
  untrusted: 502,
  idle: 504,
  too_large: 413,
  too_many: 503,
  rate: 429,
  no_policy: 503,
  log_full: 503,
};

const WHY: Record<RefusalReason, string> = {
  bad_request: 'this is not a request that a proxy can serve',
  bad_host: 'this is not a valid host name',
  bad_port: 'the host is known, but not this port (names ending in .warren.internal are plain http on port 80)',
  address: 'addresses are never allowed, only names',
  not_listed: 'the host is not on the allow-list of your organization',
  method: 'the host is on the allow-list, but not with this method on this path',
  body: 'the service is read-only: ask without a body',
  path: 'the host is on the allow-list, but not this path',
  bad_path: 'servers read this path in different ways, and the rule for this host is about paths',
  websocket: 'WebSocket connections are allowed only where a rule says so',
  nested: 'a tunnel inside a tunnel is never allowed',
  host_mismatch: 'the request inside this tunnel is for another host',
  private_address: 'the name leads to a private address, which is never allowed',
  upstream_error: 'the host did not answer',
  untrusted: 'the host’s certificate is not one that this installation trusts for it',
  headers_too_large: 'the headers are larger than a proxy takes',
  too_large: 'this is more than one request or response may have',
  too_many: 'too many connections are open: close some, or use each for several requests',
  rate: 'this machine began too many connections and requests within a minute',
  idle: 'nothing came for too long',
  no_policy: 'its host was started anew and waits for the organization’s rules; try again in a few seconds',
  log_full:
    'decisions about this machine are not being collected, and what cannot be logged does not happen; is the worker running?',
};

const LIMITS: readonly RefusalReason[] = ['too_large', 'too_many', 'rate'];

/** As much of a status line's text as apt reads is 359 characters; names are up to 253. */
const PHRASE_CHARS_MAX = 350;

export type Refusal = { status: number; body: string; retryAfterS?: number };

/** Whether this is a decision against the request, or what came of one for it. */
export function isDenial(reason: RefusalReason): boolean {
  return reason !== 'upstream_error' && reason !== 'untrusted';
}

/** What the program in the machine gets to read, and with it the agent and the person behind it. */
export function refusal(reason: RefusalReason, host: string, port: number, detail?: string): Refusal {
  const lines = [`Warren did not let this machine reach ${host === '' ? 'a host' : `${host}:${port}`}: ${WHY[reason]}.`];
  if (detail) lines.push(detail);
  if (FIXABLE_REASONS.includes(reason)) {
    lines.push(
      'An admin of the organization can allow it: Settings, Egress; or one click on this line in the session’s Egress tab.',
    );
  }
  if (LIMITS.includes(reason)) lines.push('The limits are part of the organization’s policy (docs/egress.md).');
  return { status: STATUS[reason] ?? FORBIDDEN, body: `${lines.join('\n')}\n` };
}

function headersOf({ retryAfterS }: Refusal): Record<string, string> {
  return {
    'content-type': 'text/plain; charset=utf-8',
    connection: 'close',
    ...(retryAfterS === undefined ? {} : { 'retry-after': String(retryAfterS) }),
  };
}

/**
 * The body's first line as the status line's text: apt shows nothing else, nor do programs written in Go, Docker among them, of a
 * refused tunnel. ASCII alone, which what the guest called the host may not be.
 */
function phraseOf({ body }: Refusal): string {
  const line = body.slice(0, body.indexOf('\n')).replaceAll('’', "'");
  return line.replace(/[^ -~]/g, '?').slice(0, PHRASE_CHARS_MAX);
}

export function answer(res: ServerResponse, refused: Refusal): void {
  res.writeHead(refused.status, phraseOf(refused), headersOf(refused)).end(refused.body);
}

/** The same to a stream that no response belongs to. Lets go of it after, also of a peer that would keep its half open. */
export function endWith(stream: Duplex, refused: Refusal): void {
  const { status, body } = refused;
  const head = [
    `HTTP/1.1 ${status} ${phraseOf(refused)}`,
    ...Object.entries(headersOf(refused)).map(([name, value]) => `${name}: ${value}`),
    `content-length: ${Buffer.byteLength(body)}`,
  ];
  stream.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => stream.destroy());
}
