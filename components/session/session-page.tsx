'use client';
import { useQuery } from '@tanstack/react-query';
import { MessagesSquare } from 'lucide-react';
import { Group, Panel, Separator } from 'react-resizable-panels';
import { type ApiOutputs, useTRPC } from '../api/trpc.ts';
import { useOrg } from '../layout/org-context.tsx';
import { usePolling } from '../realtime/realtime-provider.tsx';
import { ErrorNote } from '../ui/notes.tsx';
import { Loading } from '../ui/spinner.tsx';
import { type Tab, TabPanel, Tabs } from '../ui/tabs.tsx';
import { useMediaQuery } from '../ui/use-media-query.ts';
import { useTab } from '../ui/use-tab.ts';
import { Conversation } from './conversation.tsx';
import { SessionHeader } from './session-header.tsx';
import { useTabs, type View, Workspace } from './workspace.tsx';

export type SessionView = ApiOutputs['sessions']['get'];

const WIDE = '(min-width: 1024px)';

/** Everything about one session. Wide: conversation and workspace side by side; narrow: one at a time, tabs at the foot. */
export function SessionPage({ sessionId }: { sessionId: string }) {
  const { org } = useOrg();
  const trpc = useTRPC();
  const view = useQuery(trpc.sessions.get.queryOptions({ org: org.slug, sessionId }, { refetchInterval: usePolling() }));
  const isWide = useMediaQuery(WIDE, true);

  if (view.isPending) return <Loading label="Loading the session" />;
  if (!view.data) return <ErrorNote error={view.error} className="m-4" />;
  return (
    <div className="flex h-full flex-col">
      <SessionHeader view={view.data} />
      {view.error && <ErrorNote error={view.error} className="mx-4 mt-2" />}
      {isWide ? <Wide view={view.data} /> : <Narrow view={view.data} />}
    </div>
  );
}

function Wide({ view }: { view: SessionView }) {
  const tabs = useTabs(view);
  const [tab, setTab] = useTab(tabs, 'diff');
  return (
    <Group orientation="horizontal" className="min-h-0 flex-1">
      <Panel id="conversation" defaultSize="44%" minSize={320} className="flex flex-col">
        <Conversation view={view} />
      </Panel>
      <Separator
        aria-label="Width of the conversation"
        className="w-px bg-line outline-none transition-colors hover:bg-accent focus-visible:bg-accent data-[separator=active]:bg-accent"
      />
      <Panel id="workspace" minSize={360} className="flex flex-col bg-surface">
        <Tabs tabs={tabs} value={tab} onChange={setTab} label="Workspace" />
        <Workspace view={view} shown={tab} />
      </Panel>
    </Group>
  );
}

function Narrow({ view }: { view: SessionView }) {
  const conversation: Tab<'conversation'> = { id: 'conversation', label: 'Timeline', icon: <MessagesSquare aria-hidden /> };
  const tabs: Tab<View | 'conversation'>[] = [conversation, ...useTabs(view)];
  const [shown, setShown] = useTab(tabs, 'conversation');
  return (
    <>
      {/* Kept while hidden, so that a message half written and the place in the conversation stay. */}
      <TabPanel id="conversation" className={shown === 'conversation' ? 'flex flex-col' : 'hidden'}>
        <Conversation view={view} />
      </TabPanel>
      <Workspace view={view} shown={shown} />
      <Tabs tabs={tabs} value={shown} onChange={setShown} label="Session" bottom />
    </>
  );
}
