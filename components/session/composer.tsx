'use client';
import { useMutation, useQuery } from '@tanstack/react-query';
import { CornerDownLeft } from 'lucide-react';
import { type KeyboardEvent, useState } from 'react';
import type { SessionStatus } from '../../server/sessions/status.ts';
import { useTRPC } from '../api/trpc.ts';
import { useCanWrite, useOrg } from '../layout/org-context.tsx';
import { Button } from '../ui/button.tsx';
import { ErrorNote } from '../ui/notes.tsx';
import { byteLength, PromptSize } from './prompt-size.tsx';
import type { SessionView } from './session-page.tsx';
import { useInvalidateSession } from './use-invalidate-session.ts';

const HINTS: Partial<Record<SessionStatus, string>> = {
  starting: 'The agent gets it once its machine is ready.',
  working: 'The agent gets it after this turn.',
  falling_asleep: 'Sending wakes the machine.',
  asleep: 'Sending wakes the machine.',
  waking: 'The agent gets it as soon as it is awake.',
  failed: 'Sending starts the machine again.',
};

export function Composer({ view }: { view: SessionView }) {
  const { session, status } = view;
  const { org } = useOrg();
  const canWrite = useCanWrite();
  const trpc = useTRPC();
  const [text, setText] = useState('');
  const policy = useQuery(trpc.orgs.get.queryOptions({ org: org.slug })).data?.policy;
  const invalidate = useInvalidateSession(session.id);
  const send = useMutation(
    trpc.sessions.send.mutationOptions({
      onSuccess: async () => {
        setText('');
        await invalidate();
      },
    }),
  );

  if (status === 'ended' || status === 'ending') {
    return (
      <Foot>
        This session has {status === 'ended' ? 'ended' : 'been told to end'} and takes no more messages. Its record stays.
      </Foot>
    );
  }
  if (!canWrite) return <Foot>You are a viewer here: you can read everything and send nothing.</Foot>;

  const bytesMax = policy?.promptBytesMax ?? null;
  const isTooLong = bytesMax !== null && byteLength(text) > bytesMax;
  const canSend = text.trim() !== '' && !isTooLong && !send.isPending;

  function submit() {
    if (canSend) send.mutate({ org: org.slug, sessionId: session.id, text });
  }

  function onKeyDown(event: KeyboardEvent) {
    // While an input method composes, Enter picks a candidate.
    if (event.key !== 'Enter' || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    submit();
  }

  return (
    <div className="shrink-0 border-t bg-surface px-4 py-3">
      <div className="mx-auto max-w-3xl">
        {send.error && <ErrorNote error={send.error} className="mb-2" />}
        <div className="rounded-lg border border-field bg-bg focus-within:border-accent focus-within:ring-2 focus-within:ring-accent/25">
          <textarea
            aria-label="Message to the agent"
            placeholder="Message the agent"
            rows={2}
            value={text}
            onChange={(event) => setText(event.target.value)}
            onKeyDown={onKeyDown}
            className="field-sizing-content block max-h-52 min-h-[52px] w-full resize-none bg-transparent px-3 py-2 outline-none"
          />
          <div className="flex items-center gap-3 px-2 pb-2">
            <span className="min-w-0 flex-1 truncate pl-1 text-faint text-xs">{HINTS[status] ?? ''}</span>
            {bytesMax !== null && <PromptSize text={text} bytesMax={bytesMax} />}
            <Button variant="primary" size="sm" disabled={!canSend} busy={send.isPending} onClick={submit}>
              Send <CornerDownLeft aria-hidden />
            </Button>
          </div>
        </div>
      </div>
    </div>
  );
}

function Foot({ children }: { children: React.ReactNode }) {
  return <p className="shrink-0 border-t bg-surface px-4 py-3 text-center text-muted">{children}</p>;
}
