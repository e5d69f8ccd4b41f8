'use client';
import { useQueryClient } from '@tanstack/react-query';
import { useTRPC } from '../api/trpc.ts';

/** Reads everything about changes again after something was done to one; resolves when it is new. */
export function useInvalidateChange(): () => Promise<unknown> {
  const trpc = useTRPC();
  const queryClient = useQueryClient();
  return () =>
    Promise.all([
      queryClient.invalidateQueries({ queryKey: trpc.changes.pathKey() }),
      queryClient.invalidateQueries({ queryKey: trpc.sessions.get.pathKey() }),
      queryClient.invalidateQueries({ queryKey: trpc.repositories.pathKey() }),
    ]);
}
