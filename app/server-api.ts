import { dehydrate, type QueryClient } from '@tanstack/react-query';
import { TRPCError } from '@trpc/server';
import { createTRPCOptionsProxy } from '@trpc/tanstack-react-query';
import { headers } from 'next/headers';
import { notFound, redirect } from 'next/navigation';
import { cache } from 'react';
import { createQueryClient } from '../components/api/query-client.ts';
import { createContext } from '../server/api/handler.ts';
import { type AppRouter, appRouter } from '../server/api/root.ts';
import { getServices } from '../server/services.ts';

/*
 * Server components read through the same procedures as the browser, so that authorisation exists once. What a page needs at
 * first is put into the query cache here and handed over with `dehydrate`.
 */

/** One context per request: layouts and pages ask for the signed-in person once. */
export const getRequestContext = cache(async () => createContext(getServices(), await headers()));

export const getServerApi = cache(async () => {
  const queryClient = createQueryClient();
  const ctx = await getRequestContext();
  const trpc = createTRPCOptionsProxy<AppRouter>({ ctx, router: appRouter, queryClient });
  return { queryClient, trpc, user: ctx.user };
});

export function dehydrated(queryClient: QueryClient) {
  return dehydrate(queryClient);
}

/**
 * Awaits what a page cannot do without: signed-out people are sent to sign in and come back to `path`; what is not there, or
 * not theirs, is the not-found page.
 */
export async function required<T>(path: string, promise: Promise<T>): Promise<T> {
  try {
    return await promise;
  } catch (error) {
    const code = error instanceof TRPCError ? error.code : null;
    if (code === 'UNAUTHORIZED') redirect(signInPath(path));
    if (code === 'NOT_FOUND' || code === 'BAD_REQUEST') notFound();
    throw error;
  }
}

/** The address of a page as it was asked for, so that whoever signs in first comes back to the same tab or file. */
export function asAsked(path: string, query: Record<string, string | string[] | undefined>): string {
  const given = Object.entries(query).flatMap(([name, value]) => [value ?? []].flat().map((one) => [name, one]));
  return given.length === 0 ? path : `${path}?${new URLSearchParams(given)}`;
}

export function signInPath(next: string): string {
  return `/sign-in?next=${encodeURIComponent(next)}`;
}
