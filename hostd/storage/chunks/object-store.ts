/**
 * Where the chunk store keeps its objects: a directory or an S3 bucket. One contract suite runs against both
 * (object-store-contract.ts). Objects are written whole or not at all, and never changed under their key with other bytes
 * except by a repeated `put`. What was put is seen by every later `get` and `list` (S3 has promised that since 2020).
 */
export interface ObjectStore {
  /** For people: where it is, without credentials. */
  readonly location: string;
  /** Resolves once the object is durable. Replaces what is there. */
  put(key: string, bytes: Uint8Array): Promise<void>;
  /** The whole object, or `length` bytes from `offset`. Rejects with ObjectMissing, ShortRead or StoreFailure. */
  get(key: string, range?: Range): Promise<Buffer>;
  /** Null when there is none. */
  size(key: string): Promise<number | null>;
  /** In any order. An object put or removed meanwhile may be listed or not. */
  list(prefix: string): AsyncIterable<ListedObject>;
  /** Safe to repeat. */
  remove(key: string): Promise<void>;
}

export type Range = { offset: number; length: number };
export type ListedObject = { key: string; bytes: number; modifiedAtMs: number };

/** The store has no such object. Asking again does not help. */
export class ObjectMissing extends Error {
  readonly key: string;
  constructor(key: string) {
    super(`the object store has no ${key}`);
    this.key = key;
    this.name = 'ObjectMissing';
  }
}

/** The store could not be used. `retryable` says whether asking again may help. */
export class StoreFailure extends Error {
  readonly retryable: boolean;
  constructor(message: string, options: { retryable: boolean; cause?: unknown }) {
    super(message, { cause: options.cause });
    this.name = 'StoreFailure';
    this.retryable = options.retryable;
  }
}

/** Fewer bytes arrived than were asked for: a broken connection, or an object that was cut off. */
export function requireLength(key: string, bytes: Buffer, expected: number): Buffer {
  if (bytes.length === expected) return bytes;
  throw new StoreFailure(`${key}: ${bytes.length} bytes arrived instead of ${expected}`, { retryable: true });
}
