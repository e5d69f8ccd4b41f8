'use client';
import { useQuery } from '@tanstack/react-query';
import { GitPullRequest } from 'lucide-react';
import { useTRPC } from '../api/trpc.ts';
import { useOrg } from '../layout/org-context.tsx';
import { usePolling } from '../realtime/realtime-provider.tsx';
import type { SessionView } from '../session/session-page.tsx';
import { shortSha } from '../ui/format.ts';
import { Link } from '../ui/link.tsx';
import { EmptyState, ErrorNote } from '../ui/notes.tsx';
import { Loading } from '../ui/spinner.tsx';
import { ChangeBadge } from './change-badge.tsx';
import { ChecksList } from './checks-list.tsx';
import { MergeBox } from './merge-box.tsx';

/** The session's change beside its conversation: checks, and merging. */
export function ChangePanel({ view }: { view: SessionView }) {
  if (view.change) return <OpenedChange repositorySlug={view.repository.slug} number={view.change.number} />;
  return (
    <EmptyState icon={<GitPullRequest />} title="No change yet">
      When the agent pushes its branch, a change opens here and its checks run.
    </EmptyState>
  );
}

function OpenedChange({ repositorySlug, number }: { repositorySlug: string; number: number }) {
  const { org } = useOrg();
  const trpc = useTRPC();
  const found = useQuery(
    trpc.changes.get.queryOptions({ org: org.slug, repo: repositorySlug, number }, { refetchInterval: usePolling() }),
  );
  if (found.isPending) return <Loading label="Loading the change" />;
  if (!found.data) return <ErrorNote error={found.error} className="m-3" />;
  const { change } = found.data;
  const checks = found.data.checks.filter(({ commitSha }) => commitSha === change.headSha);
  return (
    <div className="flex flex-col gap-4 p-4">
      <div>
        <h2 className="flex flex-wrap items-center gap-2 font-semibold text-base">
          <Link href={`/${org.slug}/repositories/${repositorySlug}/changes/${number}`} className="text-ink">
            {change.title}
          </Link>
          <ChangeBadge number={number} state={change.state} checks={checks} />
        </h2>
        <p className="mt-1 break-all text-faint text-xs">
          <code>{change.branch}</code> at <code>{shortSha(change.headSha)}</code> into <code>{change.baseBranch}</code>
        </p>
      </div>
      <section aria-label="Checks" className="flex flex-col gap-2">
        <h3 className="font-medium text-muted text-xs">Checks of the newest commit</h3>
        {checks.length > 0 ? (
          <ChecksList checks={checks} />
        ) : (
          <p className="text-muted">The repository names no checks in .warren/environment.yaml.</p>
        )}
      </section>
      <MergeBox view={found.data} />
    </div>
  );
}
