'use client';
import { useMutation } from '@tanstack/react-query';
import { toast } from 'sonner';
import { useTRPC } from '../api/trpc.ts';
import { useOrg } from '../layout/org-context.tsx';
import { messageOf } from '../ui/notes.tsx';
import { useInvalidateSession } from './use-invalidate-session.ts';

/** What a person may ask of a session's machine. Results show in the status; refusals are told where the button was. */
export function useSessionActions(sessionId: string) {
  const { org } = useOrg();
  const trpc = useTRPC();
  const invalidate = useInvalidateSession(sessionId);
  const options = { onSettled: invalidate, onError: (error: unknown) => toast.error(messageOf(error)) };
  const input = { org: org.slug, sessionId };

  const wake = useMutation(trpc.sessions.wake.mutationOptions(options));
  const suspend = useMutation(trpc.sessions.suspend.mutationOptions(options));
  const retry = useMutation(trpc.sessions.retry.mutationOptions(options));
  const cancelTurn = useMutation(trpc.sessions.cancelTurn.mutationOptions(options));
  const stop = useMutation(trpc.sessions.stop.mutationOptions({ onSettled: invalidate }));

  return {
    wake: { run: () => wake.mutate(input), busy: wake.isPending },
    suspend: { run: () => suspend.mutate(input), busy: suspend.isPending },
    retry: { run: () => retry.mutate(input), busy: retry.isPending },
    cancelTurn: { run: () => cancelTurn.mutate(input), busy: cancelTurn.isPending },
    stop: {
      run: (onDone: () => void) => stop.mutate(input, { onSuccess: onDone }),
      busy: stop.isPending,
      error: stop.error,
      forget: stop.reset,
    },
  };
}
