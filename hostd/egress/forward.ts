import http, { type ClientRequest, type IncomingMessage, type RequestOptions, type ServerResponse } from 'node:http';
import https from 'node:https';
import { pipeline } from 'node:stream';
import { messageOf } from '../errors.ts';
import { TooLargeError } from './byte-counter.ts';
import { refusal } from './denial.ts';
import type { Exchange } from './exchange.ts';
import { endToEndHeaders } from './headers.ts';

/** Git pushes are the largest requests; a response has no cap. */
export const REQUEST_BYTES_MAX = 512 * 1024 * 1024;
/** Without a byte either way; models think for minutes. */
const IDLE_MS_MAX = 15 * 60_000;

export type Upstream = {
  options: RequestOptions;
  secure: boolean;
  reason: 'service' | 'rule';
  /** As the guest named it, for messages. */
  host: string;
  port: number;
};

/**
 * Sends one request on and its response back, both as they come: no buffering, so that a git pack does not fill memory and an
 * event stream is not held back. Never rejects; every end is written to the exchange.
 */
export function forward(req: IncomingMessage, res: ServerResponse, upstream: Upstream, exchange: Exchange): void {
  const up = exchange.counter('up', REQUEST_BYTES_MAX);
  const down = exchange.counter('down');

  const fail = (error: unknown) => {
    const reason = error instanceof TooLargeError ? 'too_large' : 'upstream_error';
    const { status, body } = refusal(reason, upstream.host, upstream.port, messageOf(error));
    // Half a response must not look like a whole one.
    if (res.headersSent) res.destroy();
    else res.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', connection: 'close' }).end(body);
    exchange.end(reason === 'too_large' ? 'deny' : 'allow', reason, status);
  };

  if (Number(req.headers['content-length'] ?? 0) > REQUEST_BYTES_MAX) {
    fail(new TooLargeError(`the request announces more than ${REQUEST_BYTES_MAX} bytes`));
    return;
  }
  let outgoing: ClientRequest;
  try {
    outgoing = (upstream.secure ? https : http).request(upstream.options);
  } catch (error) {
    // A header that Node does not send.
    fail(error);
    return;
  }
  outgoing.on('error', fail);
  outgoing.setTimeout(IDLE_MS_MAX, () => outgoing.destroy(new Error('the host fell silent')));
  outgoing.on('upgrade', (_response, socket) => {
    // The request has let go of its socket by now.
    socket.destroy();
    fail(new Error('the host switched protocols'));
  });
  outgoing.on('response', (incoming) => {
    try {
      res.writeHead(incoming.statusCode ?? 0, endToEndHeaders(incoming.headers));
    } catch (error) {
      outgoing.destroy();
      return fail(error);
    }
    res.flushHeaders();
    pipeline(incoming, down, res, (error) => {
      if (error && !res.writableFinished) res.destroy();
      exchange.end('allow', upstream.reason, incoming.statusCode ?? null);
    });
  });
  res.on('close', () => {
    outgoing.destroy();
    exchange.end('allow', upstream.reason, res.headersSent ? res.statusCode : null);
  });
  pipeline(req, up, outgoing, (error) => {
    if (error instanceof TooLargeError) fail(error);
  });
}
