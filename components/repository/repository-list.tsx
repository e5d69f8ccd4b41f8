'use client';
import { useQuery } from '@tanstack/react-query';
import { FolderGit2, Plus } from 'lucide-react';
import Link from 'next/link';
import { useState } from 'react';
import { useTRPC } from '../api/trpc.ts';
import { useCanWrite, useOrg } from '../layout/org-context.tsx';
import { PageHeader } from '../layout/page-header.tsx';
import { usePolling } from '../realtime/realtime-provider.tsx';
import { Button } from '../ui/button.tsx';
import { plural } from '../ui/format.ts';
import { LinkPending } from '../ui/link-pending.tsx';
import { EmptyState, ErrorNote } from '../ui/notes.tsx';
import { Loading } from '../ui/spinner.tsx';
import { CreateRepositoryDialog } from './create-repository-dialog.tsx';
import { TemplateBadge } from './template-badge.tsx';

export function RepositoryList() {
  const { org } = useOrg();
  const canWrite = useCanWrite();
  const trpc = useTRPC();
  const repositories = useQuery(trpc.repositories.list.queryOptions({ org: org.slug }, { refetchInterval: usePolling() }));
  const [isCreating, setCreating] = useState(false);
  const create = canWrite && (
    <Button variant="primary" onClick={() => setCreating(true)}>
      <Plus aria-hidden /> New repository
    </Button>
  );
  const found = repositories.data ?? [];
  return (
    <>
      <PageHeader title="Repositories">{found.length > 0 && create}</PageHeader>
      {repositories.error && <ErrorNote error={repositories.error} className="m-4" />}
      {repositories.isPending && <Loading label="Loading repositories" />}
      {repositories.isSuccess && found.length === 0 && (
        <EmptyState icon={<FolderGit2 />} title="No repositories yet" action={create}>
          Sessions work on a repository. Start with the sample, a small shop with a failing test, or with an empty one you push
          to.
        </EmptyState>
      )}
      <ul>
        {found.map((repository) => (
          <li key={repository.id} className="relative flex items-center gap-3 border-b px-4 py-3 hover:bg-hover/60 md:px-6">
            <FolderGit2 className="size-4 shrink-0 text-faint" aria-hidden />
            <div className="min-w-0 flex-1">
              <Link
                href={`/${org.slug}/repositories/${repository.slug}`}
                className="truncate font-medium after:absolute after:inset-0 focus-visible:outline-none focus-visible:after:outline-2 focus-visible:after:outline-accent focus-visible:after:-outline-offset-2"
              >
                {repository.name}
                <LinkPending className="ml-2 inline-block" />
              </Link>
              <p className="text-faint text-xs">
                {plural(repository.openChanges, 'open change')}, {plural(repository.sessions, 'session')}
              </p>
            </div>
            <TemplateBadge state={repository.templateState} />
          </li>
        ))}
      </ul>
      <CreateRepositoryDialog open={isCreating} onClose={() => setCreating(false)} />
    </>
  );
}
