import * as http from 'node:http';
import * as https from 'node:https';

export type HttpRequest = {
  method: string;
  headers: Record<string, string>;
  body?: Uint8Array | string | undefined;
  signal: AbortSignal;
};

/**
 * One request, resolved when the reply's headers are there; the body is read from the message.
 * Not `fetch`: its client ends every reply that is silent for five minutes, and a command in a machine may take longer.
 */
export function httpRequest(url: string, { method, headers, body, signal }: HttpRequest): Promise<http.IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<http.IncomingMessage>();
  const request = (url.startsWith('https:') ? https : http).request(url, { method, headers, signal }, resolve);
  request.once('error', reject);
  request.end(body);
  return promise;
}

/** The whole body as bytes; rejects when the connection breaks before its end. */
export async function readBody(message: http.IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
