'use client';
import { useQueryClient } from '@tanstack/react-query';
import { useTRPC } from '../api/trpc.ts';
import { useOrg } from '../layout/org-context.tsx';
import { sessionEventsKey } from '../realtime/session-events-key.ts';

/** Reads a session and its timeline again after something was asked of it; resolves when both are new. */
export function useInvalidateSession(sessionId: string): () => Promise<unknown> {
  const { org } = useOrg();
  const trpc = useTRPC();
  const queryClient = useQueryClient();
  return () =>
    Promise.all([
      queryClient.invalidateQueries({ queryKey: trpc.sessions.get.queryKey({ org: org.slug, sessionId }) }),
      queryClient.invalidateQueries({ queryKey: sessionEventsKey(org.slug, sessionId) }),
      queryClient.invalidateQueries({ queryKey: trpc.sessions.list.pathKey() }),
    ]);
}
