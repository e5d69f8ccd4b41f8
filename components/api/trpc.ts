'use client';
import { createTRPCClient, httpBatchLink, httpLink, splitLink, type TRPCClientErrorLike } from '@trpc/client';
import type { inferRouterOutputs } from '@trpc/server';
import { createTRPCContext } from '@trpc/tanstack-react-query';
import superjson from 'superjson';
import type { AppRouter } from '../../server/api/root.ts';

export const { TRPCProvider, useTRPC, useTRPCClient } = createTRPCContext<AppRouter>();

export type ApiOutputs = inferRouterOutputs<AppRouter>;
export type ApiError = TRPCClientErrorLike<AppRouter>;

const URL = '/api/trpc';
const URL_CHARS_MAX = 2000;

// These wait for a machine, which may take seconds under emulation: they must not hold up what they would be batched with.
const ASK_A_MACHINE = new Set(['sessions.files', 'sessions.readFile', 'sessions.writeFile', 'sessions.worktree']);

export function createApiClient() {
  return createTRPCClient<AppRouter>({
    links: [
      splitLink({
        condition: (op) => ASK_A_MACHINE.has(op.path),
        true: httpLink({ url: URL, transformer: superjson }),
        false: httpBatchLink({ url: URL, transformer: superjson, maxURLLength: URL_CHARS_MAX }),
      }),
    ],
  });
}

/** The server's own word for what went wrong, such as `asleep` or `not_found`. */
export function codeOf(error: ApiError | null | undefined): string | null {
  return error?.data?.appCode ?? null;
}
