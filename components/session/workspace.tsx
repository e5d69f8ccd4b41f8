'use client';
import { Bell, FileCode, FileDiff, GitPullRequest, Globe, Monitor, SquareTerminal } from 'lucide-react';
import dynamic from 'next/dynamic';
import { useState } from 'react';
import { ChangePanel } from '../change/change-panel.tsx';
import { EgressPanel } from '../egress/egress-panel.tsx';
import { Loading } from '../ui/spinner.tsx';
import { type Tab, TabPanel } from '../ui/tabs.tsx';
import { SessionDiff } from './session-diff.tsx';
import type { SessionView } from './session-page.tsx';
import { WakesPanel } from './wakes-panel.tsx';

// Monaco, xterm and noVNC come when they are first looked at.
const FilesPanel = dynamic(() => import('../editor/files-panel.tsx').then((module) => module.FilesPanel), {
  ssr: false,
  loading: () => <Loading label="Loading the editor" />,
});
const TerminalPanel = dynamic(() => import('../terminal/terminal-panel.tsx').then((module) => module.TerminalPanel), {
  ssr: false,
  loading: () => <Loading label="Loading the terminal" />,
});

const DesktopPanel = dynamic(() => import('../desktop/desktop-panel.tsx').then((module) => module.DesktopPanel), {
  ssr: false,
  loading: () => <Loading label="Loading the desktop" />,
});

export const VIEWS = ['diff', 'files', 'terminal', 'desktop', 'change', 'wakes', 'egress'] as const;
export type View = (typeof VIEWS)[number];

export function useTabs(view: SessionView): Tab<View>[] {
  const { change, wakes, hasDesktop } = view;
  const desktop: Tab<View> = { id: 'desktop', label: 'Desktop', icon: <Monitor aria-hidden /> };
  return [
    { id: 'diff', label: 'Diff', icon: <FileDiff aria-hidden /> },
    { id: 'files', label: 'Files', icon: <FileCode aria-hidden /> },
    { id: 'terminal', label: 'Terminal', icon: <SquareTerminal aria-hidden /> },
    ...(hasDesktop ? [desktop] : []),
    { id: 'change', label: 'Change', icon: <GitPullRequest aria-hidden />, count: change ? `#${change.number}` : undefined },
    { id: 'wakes', label: 'Wakes', icon: <Bell aria-hidden />, count: wakes.length },
    { id: 'egress', label: 'Egress', icon: <Globe aria-hidden /> },
  ];
}

type Props = { view: SessionView; shown: View | 'conversation' };

/**
 * What a session works on. The editor and the terminal stay once opened: a file half edited and the terminal's screen are
 * still there after a look elsewhere.
 */
export function Workspace({ view, shown }: Props) {
  const opened = useOpened(shown);
  const hidden = (id: View) => (shown === id ? 'flex flex-col' : 'hidden');
  return (
    <>
      {shown === 'diff' && (
        <TabPanel id="diff" className="overflow-y-auto">
          <SessionDiff view={view} />
        </TabPanel>
      )}
      {opened.has('files') && (
        <TabPanel id="files" className={hidden('files')}>
          <FilesPanel view={view} />
        </TabPanel>
      )}
      {opened.has('terminal') && (
        <TabPanel id="terminal" className={hidden('terminal')}>
          <TerminalPanel view={view} visible={shown === 'terminal'} />
        </TabPanel>
      )}
      {opened.has('desktop') && (
        <TabPanel id="desktop" className={hidden('desktop')}>
          <DesktopPanel view={view} visible={shown === 'desktop'} />
        </TabPanel>
      )}
      {shown === 'change' && (
        <TabPanel id="change" className="overflow-y-auto">
          <ChangePanel view={view} />
        </TabPanel>
      )}
      {shown === 'wakes' && (
        <TabPanel id="wakes" className="overflow-y-auto">
          <WakesPanel view={view} />
        </TabPanel>
      )}
      {shown === 'egress' && (
        <TabPanel id="egress" className="overflow-y-auto">
          <EgressPanel view={view} />
        </TabPanel>
      )}
    </>
  );
}

/** Every view that has been shown so far. */
function useOpened(shown: Props['shown']): ReadonlySet<string> {
  const [opened, setOpened] = useState<ReadonlySet<string>>(() => new Set([shown]));
  if (opened.has(shown)) return opened;
  const next = new Set([...opened, shown]);
  setOpened(next);
  return next;
}
