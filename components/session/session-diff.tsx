'use client';
import { useQuery } from '@tanstack/react-query';
import { FileDiff as FileDiffIcon, RefreshCw } from 'lucide-react';
import { useEffect, useMemo, useRef } from 'react';
import { useTRPC } from '../api/trpc.ts';
import { ChangeReview } from '../diff/change-review.tsx';
import { DiffFile } from '../diff/diff-file.tsx';
import { parseUnified } from '../diff/parse-unified.ts';
import { useOrg } from '../layout/org-context.tsx';
import { IconButton } from '../ui/button.tsx';
import { EmptyState, ErrorNote } from '../ui/notes.tsx';
import { Loading } from '../ui/spinner.tsx';
import { ClockTime } from '../ui/time.tsx';
import type { SessionView } from './session-page.tsx';

/** What the session has done to the code: its change as pushed, and what it has not committed yet. */
export function SessionDiff({ view }: { view: SessionView }) {
  const { change, repository } = view;
  return (
    <>
      <Uncommitted view={view} hasChange={change !== null} />
      {change && <ChangeReview repositorySlug={repository.slug} number={change.number} />}
    </>
  );
}

/** While it works the machine is asked now and then, as nothing tells of a file being saved. */
const ASK_AGAIN_MS = 15_000;

function Uncommitted({ view, hasChange }: { view: SessionView; hasChange: boolean }) {
  const { org } = useOrg();
  const trpc = useTRPC();
  const { session, status } = view;
  const worktree = useQuery(
    trpc.sessions.worktree.queryOptions(
      { org: org.slug, sessionId: session.id },
      { refetchInterval: status === 'working' ? ASK_AGAIN_MS : false, refetchOnWindowFocus: false },
    ),
  );
  const { refetch } = worktree;
  // Asleep, it is what was kept; awake again, it is the machine's.
  const readAt = useRef(session.version);
  useEffect(() => {
    if (readAt.current === session.version) return;
    readAt.current = session.version;
    void refetch();
  }, [session.version, refetch]);
  const found = worktree.data?.worktree ?? null;
  const files = useMemo(() => (found ? parseUnified(found.diff) : []), [found]);

  if (files.length === 0) {
    if (worktree.error && !hasChange) return <ErrorNote error={worktree.error} className="m-3" />;
    if (hasChange) return null;
    if (worktree.isPending)
      return <Loading label={status === 'asleep' ? 'Loading the diff' : 'Asking the machine what changed'} />;
    return (
      <EmptyState icon={<FileDiffIcon />} title="Nothing changed yet">
        What the agent changes shows here, and stays readable while the session sleeps.
      </EmptyState>
    );
  }
  return (
    <section aria-label="Uncommitted changes" className="flex flex-col gap-3 border-b p-3">
      <p className="flex items-center gap-2 text-muted text-xs">
        <span className="font-medium text-ink">Not committed yet</span>
        {worktree.data?.live ? 'in the machine now' : 'when it fell asleep'}, <ClockTime at={found!.capturedAt} />
        <IconButton label="Read it again" size="sm" disabled={worktree.isFetching} onClick={() => void worktree.refetch()}>
          <RefreshCw />
        </IconButton>
      </p>
      {files.map((file) => (
        <DiffFile key={file.path} file={file} />
      ))}
      {found!.truncated && <p className="text-muted">The rest is too large to be shown here.</p>}
    </section>
  );
}
