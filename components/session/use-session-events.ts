'use client';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useTRPCClient } from '../api/trpc.ts';
import { usePolling } from '../realtime/realtime-provider.tsx';
import { sessionEventsKey } from '../realtime/session-events-key.ts';
import { timelineVersion } from '../realtime/timeline-version.ts';
import { EMPTY_TIMELINE, mergeTimeline, type Timeline } from './merge-timeline.ts';

/** A session's timeline, fetched from the revision the page has and merged; notices make it fetch again. */
export function useSessionEvents(orgSlug: string, sessionId: string) {
  const queryClient = useQueryClient();
  const client = useTRPCClient();
  const queryKey = sessionEventsKey(orgSlug, sessionId);

  return useQuery({
    queryKey,
    queryFn: async () => {
      let timeline = queryClient.getQueryData<Timeline>(queryKey) ?? EMPTY_TIMELINE;
      let version: number;
      let more: boolean;
      do {
        version = timelineVersion(sessionId);
        const reply = await client.sessions.events.query({ org: orgSlug, sessionId, afterRev: timeline.rev });
        more = reply.rev > timeline.rev;
        timeline = mergeTimeline(timeline, reply);
        // Shown at once: while the agent keeps talking this loop goes on.
        if (more) queryClient.setQueryData(queryKey, timeline);
      } while (more || version !== timelineVersion(sessionId));
      return timeline;
    },
    structuralSharing: false,
    refetchInterval: usePolling(),
  });
}
