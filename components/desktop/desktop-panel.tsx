'use client';
import { useRef } from 'react';
import { useCanWrite, useOrg } from '../layout/org-context.tsx';
import { AsleepNotice } from '../session/asleep-notice.tsx';
import { LiveStateBar } from '../session/live-view.tsx';
import type { SessionView } from '../session/session-page.tsx';
import { Badge } from '../ui/badge.tsx';
import { cn } from '../ui/cn.ts';
import { useDesktop } from './use-desktop.ts';

/** The screen of the session's machine, with the agent's browser on it. Viewers see it and cannot touch it. */
export function DesktopPanel({ view, visible }: { view: SessionView; visible: boolean }) {
  if (view.session.state !== 'running') {
    return <AsleepNotice view={view} what="Its desktop sleeps with it: the same windows are there when it wakes." />;
  }
  return <LiveDesktop sessionId={view.session.id} visible={visible} />;
}

function LiveDesktop({ sessionId, visible }: { sessionId: string; visible: boolean }) {
  const { org } = useOrg();
  const viewOnly = !useCanWrite();
  const host = useRef<HTMLDivElement>(null);
  const { state, reopen } = useDesktop(host, { orgSlug: org.slug, sessionId, viewOnly, visible });
  return (
    <div className="relative flex min-h-0 flex-1 flex-col bg-surface">
      <div ref={host} data-own-keys className={cn('min-h-0 flex-1 overflow-hidden', state.kind !== 'open' && 'opacity-60')} />
      {viewOnly && state.kind === 'open' && (
        <span className="absolute top-2 right-2">
          <Badge>view only</Badge>
        </span>
      )}
      <LiveStateBar state={state} opening="Opening the machine’s desktop" onReopen={reopen} />
    </div>
  );
}
