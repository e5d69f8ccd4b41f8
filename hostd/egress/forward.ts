import http, { type ClientRequest, type IncomingMessage, type RequestOptions, type ServerResponse } from 'node:http';
import https from 'node:https';
import { pipeline } from 'node:stream';
import { messageOf } from '../errors.ts';
import { TooLargeError } from './byte-counter.ts';
import { answer, refusal } from './denial.ts';
import type { Exchange } from './exchange.ts';
import { endToEndHeaders, framedAs, type Headers } from './headers.ts';
import type { TunnelLimits } from './tunnel.ts';

export type Upstream = {
  options: RequestOptions & { headers: Headers };
  /** Node is to make the TLS connection; not where `options` bring one. */
  secure: boolean;
  reason: 'service' | 'rule';
  /** As the guest named it, for messages. */
  host: string;
  port: number;
  limits: TunnelLimits;
};

/**
 * Sends one request on and its response back, both as they come: no buffering, so that a git pack does not fill memory and an
 * event stream is not held back. Never rejects; every end is written to the exchange.
 */
export function forward(req: IncomingMessage, res: ServerResponse, upstream: Upstream, exchange: Exchange): void {
  const { requestBytesMax, responseBytesMax, idleMsMax } = upstream.limits;
  const up = exchange.counter('up', requestBytesMax);
  const down = exchange.counter('down', responseBytesMax);

  const fail = (error: unknown) => {
    const reason = reasonOf(error);
    const refused = refusal(reason, upstream.host, upstream.port, messageOf(error));
    // Half a response must not look like a whole one.
    if (res.headersSent) res.destroy();
    else answer(res, refused);
    exchange.end(reason === 'upstream_error' ? 'allow' : 'deny', reason, refused.status);
  };

  if (Number(req.headers['content-length'] ?? 0) > requestBytesMax) {
    fail(new TooLargeError(`The request announces more than ${requestBytesMax} bytes, the most it may have.`));
    return;
  }
  let outgoing: ClientRequest;
  try {
    const headers = framedAs(upstream.options.headers, req.headers);
    outgoing = (upstream.secure ? https : http).request({ ...upstream.options, headers });
  } catch (error) {
    // A header that Node does not send.
    fail(error);
    return;
  }
  outgoing.on('error', fail);
  outgoing.setTimeout(idleMsMax, () => outgoing.destroy(new SilenceError(`Nothing came for ${idleMsMax / 1000} s.`)));
  outgoing.on('upgrade', (_response, socket) => {
    // The request has let go of its socket by now.
    socket.destroy();
    fail(new Error('the host switched protocols'));
  });
  outgoing.on('response', (incoming) => {
    if (Number(incoming.headers['content-length'] ?? 0) > responseBytesMax && req.method !== 'HEAD') {
      outgoing.destroy();
      return fail(new TooLargeError(`The response announces more than ${responseBytesMax} bytes, the most it may have.`));
    }
    try {
      res.writeHead(incoming.statusCode ?? 0, endToEndHeaders(incoming.headers));
    } catch (error) {
      outgoing.destroy();
      return fail(error);
    }
    res.flushHeaders();
    pipeline(incoming, down, res, (error) => {
      if (error && !res.writableFinished) res.destroy();
      if (!error) exchange.end('allow', upstream.reason, incoming.statusCode ?? null);
    });
  });
  res.on('close', () => {
    outgoing.destroy();
    const status = res.headersSent ? res.statusCode : null;
    // Cut by us, not by the guest.
    if (down.bytes > responseBytesMax) exchange.end('deny', 'too_large', status);
    exchange.end('allow', upstream.reason, status);
  });
  pipeline(req, up, outgoing, (error) => {
    if (error instanceof TooLargeError) fail(error);
  });
}

class SilenceError extends Error {}

function reasonOf(error: unknown): 'too_large' | 'idle' | 'upstream_error' {
  if (error instanceof TooLargeError) return 'too_large';
  return error instanceof SilenceError ? 'idle' : 'upstream_error';
}
