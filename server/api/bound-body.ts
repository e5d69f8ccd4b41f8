import { AppError } from '../errors.ts';

/**
 * The request with its body read, whatever its encoding: a length is only claimed, and chunks claim none. For every handler that
 * reads a body, since whoever reads it has no cap of their own.
 *
 * @throws too_large, having kept no more than the cap
 */
export async function boundBody(request: Request, bytesMax: number): Promise<Request> {
  if (!request.body) return request;
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let bytes = 0;
  for await (const chunk of request.body) {
    bytes += chunk.byteLength;
    // Leaving the loop cancels what is still to come.
    if (bytes > bytesMax)
      throw new AppError('too_large', { publicMessage: `The request is larger than ${bytesMax / 1024} KiB.` });
    chunks.push(chunk);
  }
  const { url, method, headers, signal } = request;
  return new Request(url, { method, headers, signal, body: new Blob(chunks) });
}
