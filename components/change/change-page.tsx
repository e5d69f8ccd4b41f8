'use client';
import { useQuery } from '@tanstack/react-query';
import { useTRPC } from '../api/trpc.ts';
import { ChangeReview } from '../diff/change-review.tsx';
import { useOrg } from '../layout/org-context.tsx';
import { PageHeader } from '../layout/page-header.tsx';
import { usePolling } from '../realtime/realtime-provider.tsx';
import { ScriptedBadge, StatusBadge } from '../session/status.tsx';
import { shortSha } from '../ui/format.ts';
import { Link } from '../ui/link.tsx';
import { ErrorNote } from '../ui/notes.tsx';
import { Loading } from '../ui/spinner.tsx';
import { Ago } from '../ui/time.tsx';
import { ChangeBadge } from './change-badge.tsx';
import { ChecksList } from './checks-list.tsx';
import { MergeBox } from './merge-box.tsx';

export function ChangePage({ repositorySlug, number }: { repositorySlug: string; number: number }) {
  const { org } = useOrg();
  const trpc = useTRPC();
  const found = useQuery(
    trpc.changes.get.queryOptions({ org: org.slug, repo: repositorySlug, number }, { refetchInterval: usePolling() }),
  );
  if (found.isPending) return <Loading label="Loading the change" />;
  if (!found.data) return <ErrorNote error={found.error} className="m-4" />;
  const { change, session, repository } = found.data;
  const checks = found.data.checks.filter(({ commitSha }) => commitSha === change.headSha);
  const earlier = found.data.checks.filter(({ commitSha }) => commitSha !== change.headSha);
  return (
    <>
      <PageHeader title={change.title}>
        <ChangeBadge number={change.number} state={change.state} checks={checks} />
      </PageHeader>
      <div className="mx-auto flex max-w-5xl flex-col gap-5 px-4 py-4 md:px-6">
        <div className="flex flex-wrap items-center gap-x-3 gap-y-1.5 text-muted text-xs">
          <Link href={`/${org.slug}/repositories/${repository.slug}`}>{repository.name}</Link>
          <span className="break-all">
            <code>{change.branch}</code> at <code>{shortSha(change.headSha)}</code> into <code>{change.baseBranch}</code>
          </span>
          <span>
            opened <Ago at={change.createdAt} />
          </span>
        </div>
        {session && (
          <div className="flex flex-wrap items-center gap-2 rounded-lg border bg-surface px-3 py-2">
            <StatusBadge status={session.status} />
            <Link href={`/${org.slug}/sessions/${session.id}`} className="min-w-0 truncate">
              {session.title}
            </Link>
            {session.scripted && <ScriptedBadge />}
            <span className="text-faint text-xs">A comment on a line wakes this session; it answers on the thread.</span>
          </div>
        )}
        <section aria-label="Checks" className="flex flex-col gap-2">
          <h2 className="font-semibold text-base">Checks</h2>
          {checks.length > 0 ? (
            <ChecksList checks={checks} />
          ) : (
            <p className="text-muted">The repository names no checks in .warren/environment.yaml.</p>
          )}
          {earlier.length > 0 && (
            <details>
              <summary className="text-muted text-xs">Checks of earlier commits</summary>
              <div className="mt-2">
                <ChecksList checks={earlier} isFolded />
              </div>
            </details>
          )}
        </section>
        <MergeBox view={found.data} />
        <section aria-label="Diff">
          <h2 className="font-semibold text-base">Diff</h2>
          <div className="-mx-3">
            <ChangeReview repositorySlug={repositorySlug} number={number} />
          </div>
        </section>
      </div>
    </>
  );
}
