'use client';
import { useMutation } from '@tanstack/react-query';
import { Bot, Check, RotateCcw } from 'lucide-react';
import { useState } from 'react';
import { type ApiOutputs, useTRPC } from '../api/trpc.ts';
import { useInvalidateChange } from '../change/use-invalidate-change.ts';
import { useCanWrite, useOrg } from '../layout/org-context.tsx';
import { Badge } from '../ui/badge.tsx';
import { Button } from '../ui/button.tsx';
import { Markdown } from '../ui/markdown.tsx';
import { ErrorNote } from '../ui/notes.tsx';
import { Ago } from '../ui/time.tsx';
import { CommentForm } from './comment-form.tsx';

export type ReviewThread = ApiOutputs['changes']['get']['threads'][number];

type Props = {
  thread: ReviewThread;
  agentName: string;
  /** Say which line it was about: it is not shown at that line. */
  showPlace?: boolean;
};

/** A conversation about one line: people and the session's agent. */
export function Thread({ thread, agentName, showPlace }: Props) {
  const { org } = useOrg();
  const canWrite = useCanWrite();
  const trpc = useTRPC();
  const invalidate = useInvalidateChange();
  const [isReplying, setReplying] = useState(false);
  const [isOpen, setOpen] = useState(thread.resolvedAt === null);
  const reply = useMutation(
    trpc.changes.reply.mutationOptions({
      onSuccess: async () => {
        await invalidate();
        setReplying(false);
      },
    }),
  );
  const resolve = useMutation(
    trpc.changes.resolve.mutationOptions({
      onSuccess: async (_, { resolved }) => {
        await invalidate();
        setOpen(!resolved);
      },
    }),
  );

  if (!isOpen) {
    return (
      <button
        type="button"
        onClick={() => setOpen(true)}
        className="flex w-full items-center gap-2 rounded-md border bg-surface px-3 py-1.5 text-left text-muted text-xs hover:bg-hover"
      >
        <Check className="size-3.5 text-good" aria-hidden /> Resolved: {thread.comments[0]?.body.slice(0, 80)}
      </button>
    );
  }
  return (
    <article aria-label={`Thread on line ${thread.currentLine}`} className="max-w-2xl rounded-lg border bg-surface">
      {(showPlace || thread.outdated || thread.resolvedAt) && (
        <header className="flex flex-wrap items-center gap-2 border-b px-3 py-1.5 text-muted text-xs">
          <span className="font-mono">
            {thread.path}:{thread.line}
          </span>
          {thread.outdated && (
            <Badge tone="warn" title="The line was changed since this was written.">
              outdated
            </Badge>
          )}
          {thread.resolvedAt && <Badge tone="good">resolved</Badge>}
        </header>
      )}
      {thread.outdated && (
        <pre className="overflow-x-auto border-b bg-sunken px-3 py-1 font-mono text-muted text-xs">{thread.lineText}</pre>
      )}
      <ol>
        {thread.comments.map((comment) => (
          <li key={comment.id} className="border-b px-3 py-2 last:border-b-0">
            <p className="mb-0.5 flex items-center gap-2 text-xs">
              <strong className="font-medium">{comment.byAgent ? agentName : comment.authorName}</strong>
              {comment.byAgent && (
                <Badge tone="accent">
                  <Bot aria-hidden /> agent
                </Badge>
              )}
              <Ago at={comment.createdAt} className="text-faint" />
            </p>
            <Markdown text={comment.body} />
          </li>
        ))}
      </ol>
      {canWrite && (
        <footer className="border-t px-3 py-2">
          {resolve.error && <ErrorNote error={resolve.error} className="mb-2" />}
          {isReplying ? (
            <CommentForm
              label="Reply"
              send={(body) => reply.mutate({ org: org.slug, threadId: thread.id, body })}
              busy={reply.isPending}
              error={reply.error}
              onCancel={() => setReplying(false)}
            />
          ) : (
            <div className="flex gap-2">
              <Button size="sm" onClick={() => setReplying(true)}>
                Reply
              </Button>
              <Button
                size="sm"
                variant="ghost"
                busy={resolve.isPending}
                onClick={() => resolve.mutate({ org: org.slug, threadId: thread.id, resolved: thread.resolvedAt === null })}
              >
                {thread.resolvedAt ? <RotateCcw aria-hidden /> : <Check aria-hidden />}
                {thread.resolvedAt ? 'Reopen' : 'Resolve'}
              </Button>
            </div>
          )}
        </footer>
      )}
    </article>
  );
}
