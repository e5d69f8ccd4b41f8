'use client';
import { useQuery } from '@tanstack/react-query';
import { Plus } from 'lucide-react';
import { type ApiOutputs, useTRPC } from '../api/trpc.ts';
import { ChangeBadge } from '../change/change-badge.tsx';
import { useCanWrite, useOrg } from '../layout/org-context.tsx';
import { PageHeader } from '../layout/page-header.tsx';
import { usePolling } from '../realtime/realtime-provider.tsx';
import { SessionRow } from '../session/session-row.tsx';
import { ButtonLink } from '../ui/button.tsx';
import { CommandBlock } from '../ui/command-block.tsx';
import { shortSha } from '../ui/format.ts';
import { Link } from '../ui/link.tsx';
import { ErrorNote } from '../ui/notes.tsx';
import { Loading } from '../ui/spinner.tsx';
import { TabPanel, Tabs } from '../ui/tabs.tsx';
import { Ago } from '../ui/time.tsx';
import { useTab } from '../ui/use-tab.ts';
import { CodeBrowser } from './code-browser.tsx';
import { EnvironmentPanel } from './environment-panel.tsx';
import { PushHelp } from './push-help.tsx';
import { TemplateBadge } from './template-badge.tsx';

export type RepositoryView = ApiOutputs['repositories']['get'];
const TABS = [
  { id: 'code', label: 'Code' },
  { id: 'changes', label: 'Changes' },
  { id: 'sessions', label: 'Sessions' },
  { id: 'environment', label: 'Environment' },
] as const;

/** `file` is a path as well; null shows the directory `path`. */
type Props = { slug: string; path: string; file: string | null };

export function RepositoryPage({ slug, path, file }: Props) {
  const { org } = useOrg();
  const canWrite = useCanWrite();
  const trpc = useTRPC();
  const [shown, setShown] = useTab(TABS, 'code');
  const found = useQuery(trpc.repositories.get.queryOptions({ org: org.slug, repo: slug }, { refetchInterval: usePolling() }));
  if (found.isPending) return <Loading label="Loading the repository" />;
  if (!found.data) return <ErrorNote error={found.error} className="m-4" />;
  const { repository, head, template, openChanges, sessions } = found.data;
  const counts: Partial<Record<typeof shown, number>> = { changes: openChanges.length, sessions: sessions.length };
  return (
    <>
      <PageHeader title={repository.name}>
        <TemplateBadge state={template?.state ?? null} />
        {canWrite && head && (
          <ButtonLink href={`/${org.slug}/new?repo=${repository.slug}`} variant="primary">
            <Plus aria-hidden /> New session
          </ButtonLink>
        )}
      </PageHeader>
      <div className="px-2 md:px-4">
        <Tabs
          label="Repository"
          value={shown}
          onChange={setShown}
          tabs={TABS.map((tab) => ({ ...tab, count: counts[tab.id] }))}
        />
      </div>
      <TabPanel id={shown}>
        {shown === 'code' && <Code view={found.data} path={path} file={file} />}
        {shown === 'changes' && <Changes view={found.data} />}
        {shown === 'sessions' &&
          (sessions.length === 0 ? (
            <p className="px-6 py-10 text-center text-muted">No session has worked on this repository yet.</p>
          ) : (
            <ul>
              {sessions.map((session) => (
                <SessionRow key={session.id} session={session} hideRepository />
              ))}
            </ul>
          ))}
        {shown === 'environment' && <EnvironmentPanel view={found.data} />}
      </TabPanel>
    </>
  );
}

function Code({ view, path, file }: { view: RepositoryView; path: string; file: string | null }) {
  const { repository, head } = view;
  const { org } = useOrg();
  if (!head) return <PushHelp view={view} />;
  return (
    <div className="mx-auto max-w-4xl px-4 py-4 md:px-6">
      <p className="mb-3 flex flex-wrap items-center gap-x-2 text-faint text-xs">
        <code>{repository.defaultBranch}</code>
        <code>{shortSha(head.sha)}</code>
        <span className="text-muted">{head.subject}</span>
        <span>
          {head.authorName}, <Ago at={head.at} />
        </span>
      </p>
      <CodeBrowser slug={repository.slug} name={repository.name} path={path} file={file} />
      <details className="mt-4">
        <summary className="text-muted">Clone with your own git</summary>
        <CommandBlock label="clone command" text={`git clone ${view.cloneUrl}`} className="mt-2" />
        <p className="mt-2 text-muted text-xs">
          Any user name, and an <Link href={`/${org.slug}/account`}>access token</Link> as the password.
        </p>
      </details>
    </div>
  );
}

function Changes({ view }: { view: RepositoryView }) {
  const { org } = useOrg();
  const trpc = useTRPC();
  const all = useQuery(trpc.changes.list.queryOptions({ org: org.slug }, { refetchInterval: usePolling() }));
  const changes = (all.data ?? []).filter(({ repositoryId }) => repositoryId === view.repository.id);
  if (all.isPending) return <Loading label="Loading changes" />;
  if (all.error) return <ErrorNote error={all.error} className="m-4" />;
  if (changes.length === 0)
    return <p className="px-6 py-10 text-center text-muted">No changes yet. A session opens one with its first push.</p>;
  return (
    <ul>
      {changes.map((change) => (
        <li key={change.id} className="flex items-center gap-3 border-b px-4 py-2.5 md:px-6">
          <div className="min-w-0 flex-1">
            <Link
              href={`/${org.slug}/repositories/${view.repository.slug}/changes/${change.number}`}
              className="block truncate font-medium text-ink"
            >
              {change.title}
            </Link>
            <span className="text-faint text-xs">
              <code>{shortSha(change.headSha)}</code>, opened <Ago at={change.createdAt} />
            </span>
          </div>
          <ChangeBadge number={change.number} state={change.state} checks={change.checks} />
        </li>
      ))}
    </ul>
  );
}
