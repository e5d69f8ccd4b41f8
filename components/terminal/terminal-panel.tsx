'use client';
import { useRef } from 'react';
import { useCanWrite, useOrg } from '../layout/org-context.tsx';
import { useIsDark } from '../layout/theme.tsx';
import { AsleepNotice } from '../session/asleep-notice.tsx';
import { LiveStateBar } from '../session/live-view.tsx';
import type { SessionView } from '../session/session-page.tsx';
import { cn } from '../ui/cn.ts';
import { EmptyState } from '../ui/notes.tsx';
import { useTerminal } from './use-terminal.ts';

/** A shell in the session's machine. tmux holds it there, so it survives reloads and sleep. */
export function TerminalPanel({ view, visible }: { view: SessionView; visible: boolean }) {
  if (!useCanWrite()) {
    return (
      <EmptyState title="Terminals are for developers">
        A viewer can read everything, but types nothing into a machine.
      </EmptyState>
    );
  }
  if (view.session.state !== 'running') {
    return <AsleepNotice view={view} what="Your terminal sleeps with it, and goes on when it wakes." />;
  }
  return <LiveTerminal sessionId={view.session.id} visible={visible} />;
}

function LiveTerminal({ sessionId, visible }: { sessionId: string; visible: boolean }) {
  const { org } = useOrg();
  const host = useRef<HTMLDivElement>(null);
  const { state, reopen } = useTerminal(host, { orgSlug: org.slug, sessionId, visible, isDark: useIsDark() });
  return (
    <div className="relative flex min-h-0 flex-1 flex-col bg-surface">
      {/* The padding is outside of what the screen is measured by. */}
      <div className="min-h-0 flex-1 py-2 pl-3">
        <div ref={host} data-own-keys className={cn('h-full overflow-hidden', state.kind !== 'open' && 'opacity-60')} />
      </div>
      <LiveStateBar state={state} opening="Opening a terminal in the machine" onReopen={reopen} />
    </div>
  );
}
