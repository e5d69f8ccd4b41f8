import { parentPort, workerData } from 'node:worker_threads';
import { NotAuthentic, type StoreKey } from '../chunks/keys.ts';
import { ObjectMissing, StoreFailure } from '../chunks/object-store.ts';
import { type Engine, LocalEngine } from './engine.ts';
import { openStore, type StoreLocation } from './open-store.ts';

/*
 * Hashing, compressing and encrypting gigabytes happens in this thread, beside the one that answers requests. It holds nothing
 * that is needed again: when it dies, its requests fail and the next one starts another.
 */
export type Call = { id: number; verb: keyof Engine; args: unknown[] };
export type Answer =
  | { id: number; kind: 'progress'; progress: unknown }
  | { id: number; kind: 'value'; value: unknown }
  | { id: number; kind: 'error'; error: WireError };
export type WireError = { name: string; message: string; retryable?: boolean; code?: string };

export type EngineThreadData = { location: StoreLocation; cacheDir: string };

if (parentPort) {
  const port = parentPort;
  const { location, cacheDir } = workerData as EngineThreadData;
  const engine = new LocalEngine(await openStore(location), cacheDir);
  port.on('message', ({ id, verb, args }: Call) => {
    const onProgress = (progress: unknown) => port.postMessage({ id, kind: 'progress', progress } satisfies Answer);
    const call = engine[verb].bind(engine) as (...args: unknown[]) => Promise<unknown>;
    call(...args.map(revive), ...(verb === 'store' ? [onProgress] : [])).then(
      (value) => port.postMessage({ id, kind: 'value', value } satisfies Answer),
      (error: unknown) => port.postMessage({ id, kind: 'error', error: toWire(error) } satisfies Answer),
    );
  });
}

/** Buffers arrive as plain byte arrays. */
function revive(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(revive);
  if (typeof value !== 'object' || value === null || !('secret' in value)) return value;
  return { ...(value as StoreKey), secret: Buffer.from((value as StoreKey).secret) };
}

function toWire(error: unknown): WireError {
  if (!(error instanceof Error)) return { name: 'Error', message: String(error) };
  const { code } = error as NodeJS.ErrnoException;
  return {
    name: error.name,
    message: error.message,
    ...(error instanceof StoreFailure ? { retryable: error.retryable } : {}),
    ...(code === undefined ? {} : { code }),
  };
}

/** The error as it was thrown in the thread, as far as anybody asks. */
export function fromWire({ name, message, retryable, code }: WireError): Error {
  if (name === 'NotAuthentic') return Object.assign(new NotAuthentic(''), { message });
  if (name === 'ObjectMissing') return Object.assign(new ObjectMissing(''), { message });
  if (name === 'StoreFailure') return new StoreFailure(message, { retryable: retryable ?? false });
  return Object.assign(new Error(message), { name, ...(code === undefined ? {} : { code }) });
}
