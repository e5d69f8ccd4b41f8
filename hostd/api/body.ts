import type { IncomingMessage } from 'node:http';
import { z } from 'zod';
import { HostdError } from '../errors.ts';

/** The whole body. Rejects with `too_large` as soon as it is beyond `max` bytes, `bad_request` when it ends early. */
export async function readBody(req: IncomingMessage, max: number): Promise<Buffer> {
  const tooLarge = () => new HostdError('too_large', { message: `the request body is larger than ${max} bytes` });
  if (Number(req.headers['content-length'] ?? 0) > max) throw tooLarge();
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of req as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > max) throw tooLarge();
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof HostdError) throw error;
    throw new HostdError('bad_request', { message: 'the request body ended early', cause: error });
  }
  return Buffer.concat(chunks);
}

/** The parsed value, or `bad_request` naming each field that is wrong. */
export function parse<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw new HostdError('bad_request', { message: z.prettifyError(parsed.error) });
  return parsed.data;
}

/** A JSON body in the given shape. */
export async function readJson<T>(req: IncomingMessage, schema: z.ZodType<T>, max: number): Promise<T> {
  const text = (await readBody(req, max)).toString('utf8');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new HostdError('bad_request', { message: 'the request body is not JSON', cause });
  }
  return parse(schema, value);
}
