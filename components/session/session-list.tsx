'use client';
import { useQuery } from '@tanstack/react-query';
import { Bot, Plus } from 'lucide-react';
import { useState } from 'react';
import { useTRPC } from '../api/trpc.ts';
import { useCanWrite, useOrg } from '../layout/org-context.tsx';
import { PageHeader } from '../layout/page-header.tsx';
import { usePolling } from '../realtime/realtime-provider.tsx';
import { ButtonLink } from '../ui/button.tsx';
import { EmptyState, ErrorNote } from '../ui/notes.tsx';
import { Segmented } from '../ui/segmented.tsx';
import { Loading } from '../ui/spinner.tsx';
import { SessionRow } from './session-row.tsx';

type Filter = 'open' | 'ended';

export function SessionList() {
  const { org } = useOrg();
  const canWrite = useCanWrite();
  const trpc = useTRPC();
  const sessions = useQuery(trpc.sessions.list.queryOptions({ org: org.slug }, { refetchInterval: usePolling() }));
  const [filter, setFilter] = useState<Filter>('open');

  const all = sessions.data ?? [];
  const ended = all.filter(({ status }) => status === 'ended');
  const open = all.filter(({ status }) => status !== 'ended');
  const shown = filter === 'open' ? open : ended;

  return (
    <>
      <PageHeader title="Sessions">
        {all.length > 0 && (
          <Segmented
            label="Which sessions"
            value={filter}
            onChange={setFilter}
            options={[
              { id: 'open', label: 'Open', count: open.length },
              { id: 'ended', label: 'Ended', count: ended.length },
            ]}
          />
        )}
        {canWrite && all.length > 0 && (
          <ButtonLink href={`/${org.slug}/new`} variant="primary">
            <Plus aria-hidden /> New session
          </ButtonLink>
        )}
      </PageHeader>
      {sessions.error && <ErrorNote error={sessions.error} className="m-4" />}
      {sessions.isPending && <Loading label="Loading sessions" />}
      {sessions.isSuccess && all.length === 0 && (
        <EmptyState
          icon={<Bot />}
          title="No sessions yet"
          action={
            canWrite && (
              <ButtonLink href={`/${org.slug}/new`} variant="primary">
                Start the first session
              </ButtonLink>
            )
          }
        >
          Say in plain words what is to be done. An agent does it in a machine of its own and opens a change for you to review.
        </EmptyState>
      )}
      {all.length > 0 && shown.length === 0 && (
        <p className="px-6 py-10 text-center text-muted">
          {filter === 'open' ? 'Every session has ended.' : 'No session has ended yet.'}
        </p>
      )}
      <ul>
        {shown.map((session) => (
          <SessionRow key={session.id} session={session} />
        ))}
      </ul>
    </>
  );
}
