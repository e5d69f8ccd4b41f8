import { QueryClient } from '@tanstack/react-query';
import { TRPCClientError } from '@trpc/client';
import superjson from 'superjson';

const STALE_MS = 5_000;
const RETRIES_MAX = 2;

/** Whether asking again may help. Refusals are final until something changes; a lost connection is not. */
function mayRetry(failures: number, error: Error): boolean {
  if (failures >= RETRIES_MAX) return false;
  if (!(error instanceof TRPCClientError)) return false;
  const data: unknown = error.data;
  return data == null || (typeof data === 'object' && 'retryable' in data && data.retryable === true);
}

/** Queries are kept fresh by notices over the socket; the stale time only spares a refetch right after rendering on the server. */
export function createQueryClient(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: { staleTime: STALE_MS, retry: mayRetry, refetchOnWindowFocus: true },
      dehydrate: { serializeData: superjson.serialize },
      hydrate: { deserializeData: superjson.deserialize },
    },
  });
}
