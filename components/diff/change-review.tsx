'use client';
import { useMutation, useQuery } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { useTRPC } from '../api/trpc.ts';
import { useInvalidateChange } from '../change/use-invalidate-change.ts';
import { useCanWrite, useOrg } from '../layout/org-context.tsx';
import { usePolling } from '../realtime/realtime-provider.tsx';
import { plural } from '../ui/format.ts';
import { ErrorNote } from '../ui/notes.tsx';
import { Loading } from '../ui/spinner.tsx';
import { CommentForm } from './comment-form.tsx';
import { DiffCount, DiffFile } from './diff-file.tsx';
import { type ReviewThread, Thread } from './thread.tsx';
import type { FileDiff } from './types.ts';

type Place = { path: string; line: number };

/** A change's diff with its threads. Read from the forge, so it is there while the session sleeps. */
export function ChangeReview({ repositorySlug, number }: { repositorySlug: string; number: number }) {
  const { org } = useOrg();
  const trpc = useTRPC();
  const input = { org: org.slug, repo: repositorySlug, number };
  const refetchInterval = usePolling();
  const diff = useQuery(trpc.changes.diff.queryOptions(input, { refetchInterval }));
  const change = useQuery(trpc.changes.get.queryOptions(input, { refetchInterval }));

  if (diff.isPending || change.isPending) return <Loading label="Loading the diff" />;
  if (!diff.data || !change.data) return <ErrorNote error={diff.error ?? change.error} className="m-3" />;
  const { threads, session } = change.data;
  const { files, headSha, moreFiles } = diff.data;
  const agentName = session?.agentName ?? 'agent';
  const shownPaths = new Set(files.map(({ path }) => path));
  const elsewhere = threads.filter((thread) => !shownPaths.has(thread.currentPath));

  return (
    <div className="flex flex-col gap-3 p-3">
      <p className="flex items-center gap-2 text-muted text-xs">
        {plural(files.length + moreFiles, 'file')} changed
        <DiffCount {...totals(files)} />
      </p>
      {elsewhere.map((thread) => (
        <Thread key={thread.id} thread={thread} agentName={agentName} showPlace />
      ))}
      {files.map((file) => (
        <ReviewedFile
          key={file.path}
          file={file}
          input={input}
          headSha={headSha}
          threads={threads.filter(({ currentPath }) => currentPath === file.path)}
          agentName={agentName}
          isOpen={change.data.change.state === 'open'}
          wakes={session !== null}
        />
      ))}
      {files.length === 0 && <p className="py-8 text-center text-muted">This change has no differences to its base.</p>}
      {moreFiles > 0 && <p className="text-muted">{plural(moreFiles, 'more file')} changed; too many to be shown here.</p>}
    </div>
  );
}

function totals(files: readonly FileDiff[]) {
  return {
    additions: files.reduce((sum, file) => sum + file.additions, 0),
    deletions: files.reduce((sum, file) => sum + file.deletions, 0),
  };
}

type FileProps = {
  file: FileDiff;
  input: { org: string; repo: string; number: number };
  headSha: string;
  threads: ReviewThread[];
  agentName: string;
  isOpen: boolean;
  /** A comment reaches a session's agent. */
  wakes: boolean;
};

function ReviewedFile({ file, input, headSha, threads, agentName, isOpen, wakes }: FileProps) {
  const canComment = useCanWrite() && isOpen;
  const trpc = useTRPC();
  const invalidate = useInvalidateChange();
  const [writingAt, setWritingAt] = useState<Place | null>(null);
  const comment = useMutation(
    trpc.changes.comment.mutationOptions({
      onSuccess: async () => {
        await invalidate();
        setWritingAt(null);
      },
    }),
  );

  const shownLines = new Set(file.hunks.flatMap(({ lines }) => lines.map(({ newLine }) => newLine)));
  const isPlaced = (thread: ReviewThread) => !thread.outdated && shownLines.has(thread.currentLine);
  const unplaced = threads.filter((thread) => !isPlaced(thread));

  function below(line: number): ReactNode {
    const here = threads.filter((thread) => isPlaced(thread) && thread.currentLine === line);
    const isWriting = writingAt?.line === line;
    if (here.length === 0 && !isWriting) return null;
    return (
      <div className="flex flex-col gap-2">
        {here.map((thread) => (
          <Thread key={thread.id} thread={thread} agentName={agentName} />
        ))}
        {isWriting && (
          <CommentForm
            label="Comment"
            hint={wakes ? 'The session wakes for it and answers here.' : undefined}
            send={(body) => comment.mutate({ ...input, ...writingAt, commitSha: headSha, body })}
            busy={comment.isPending}
            error={comment.error}
            onCancel={() => setWritingAt(null)}
          />
        )}
      </div>
    );
  }

  function startComment(line: number) {
    comment.reset();
    setWritingAt({ path: file.path, line });
  }

  return (
    <DiffFile
      file={file}
      review={{ below, onComment: canComment ? startComment : null }}
      footer={
        unplaced.length > 0 && (
          <div className="flex flex-col gap-2 border-t p-2">
            {unplaced.map((thread) => (
              <Thread key={thread.id} thread={thread} agentName={agentName} showPlace />
            ))}
          </div>
        )
      }
    />
  );
}
