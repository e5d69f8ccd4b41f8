import { HostdError } from '../../errors.ts';
import { DirectoryStore } from '../chunks/directory-store.ts';
import type { ObjectStore } from '../chunks/object-store.ts';
import { RetryingStore } from '../chunks/retrying-store.ts';

/** Where the copies go, as plain data: it is handed to a thread. */
export type StoreLocation =
  | { kind: 'directory'; path: string }
  | { kind: 's3'; bucket: string; prefix: string; region: string; endpoint: string | null };

const DEFAULT_REGION = 'us-east-1';

/**
 * `file:///absolute/path`, or `s3://bucket/prefix?region=…&endpoint=https://…`. Credentials are never part of it: the SDK takes
 * them from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, from its files, or from the cloud that the host runs in.
 *
 * @throws with the reason and an example
 */
export function parseStoreLocation(text: string): StoreLocation {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url?.username || url?.password)
    throw new Error('holds credentials: put them into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY');
  if (url?.protocol === 'file:' && url.host === '' && url.pathname.length > 1)
    return { kind: 'directory', path: decodeURIComponent(url.pathname) };
  if (url?.protocol === 's3:' && url.hostname !== '') {
    const endpoint = url.searchParams.get('endpoint');
    if (endpoint !== null && !/^https?:\/\/[^/]+\/?$/.test(endpoint))
      throw new Error(`has an endpoint that is no address: ${endpoint} (such as https://s3.example.com)`);
    return {
      kind: 's3',
      bucket: url.hostname,
      prefix: decodeURIComponent(url.pathname).replace(/^\/+|\/+$/g, ''),
      region: url.searchParams.get('region') ?? DEFAULT_REGION,
      endpoint,
    };
  }
  throw new Error(`is neither file:///absolute/path nor s3://bucket/prefix?endpoint=https://…: ${text}`);
}

export async function openStore(location: StoreLocation): Promise<ObjectStore> {
  if (location.kind === 'directory') return new RetryingStore(new DirectoryStore(location.path));
  // 34 MiB that a host without S3 does not hold.
  const { S3Store } = await import('../chunks/s3-store.ts');
  return new RetryingStore(new S3Store(location));
}

/** What every verb that needs a store answers without one. */
export function noStore(): HostdError {
  return new HostdError('missing_dependency', {
    message: 'this host has no object store: set HOSTD_OBJECT_STORE to file:///path or s3://bucket?endpoint=… and restart hostd',
    phase: 'store.open',
  });
}
