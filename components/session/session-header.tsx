'use client';
import { CircleStop, Ellipsis, Moon, RotateCcw, Square, Sunrise } from 'lucide-react';
import Link from 'next/link';
import { type ReactNode, useState } from 'react';
import { acceptsInput } from '../../server/sessions/states.ts';
import { useCanWrite, useOrg } from '../layout/org-context.tsx';
import { useTroubles } from '../realtime/realtime-provider.tsx';
import { Button } from '../ui/button.tsx';
import { Menu } from '../ui/menu.tsx';
import { Ago } from '../ui/time.tsx';
import type { SessionView } from './session-page.tsx';
import { ScriptedBadge, StatusBadge, TroubleBadge } from './status.tsx';
import { StopDialog } from './stop-dialog.tsx';
import { useSessionActions } from './use-session-actions.ts';

export function SessionHeader({ view }: { view: SessionView }) {
  const { session, status, repository } = view;
  const { org } = useOrg();
  const trouble = useTroubles()[session.id];
  return (
    <header className="grid shrink-0 grid-cols-[minmax(0,1fr)_auto] items-center gap-x-3 gap-y-1 border-b px-4 py-2">
      <h1 className="truncate font-semibold text-base tracking-tight" title={session.title}>
        {session.title}
      </h1>
      <div className="lg:row-span-2">
        <Actions view={view} />
      </div>
      <div className="col-span-2 flex flex-wrap items-center gap-x-2.5 gap-y-1 text-faint text-xs lg:col-span-1">
        <span aria-live="polite">
          {trouble ? (
            <TroubleBadge what={trouble.what} />
          ) : (
            <StatusBadge status={status}>
              {status === 'asleep' && (
                <span className="font-normal">
                  since <Ago at={session.stateSince} />
                </span>
              )}
            </StatusBadge>
          )}
        </span>
        <Link href={`/${org.slug}/repositories/${repository.slug}`} className="text-muted hover:text-ink hover:underline">
          {repository.name}
        </Link>
        {session.scripted && <ScriptedBadge />}
        <span className="hidden sm:inline">
          {session.agentName} · <span className="font-mono text-2xs">{session.modelName}</span>
        </span>
        <span className="hidden sm:inline">
          by {session.createdBy}, <Ago at={session.createdAt} />
        </span>
      </div>
    </header>
  );
}

function Actions({ view }: { view: SessionView }) {
  const { session, status } = view;
  const actions = useSessionActions(session.id);
  const [stopping, setStopping] = useState(false);
  if (!useCanWrite() || !acceptsInput(session.state)) return null;

  const isCancelling = view.queued.some((message) => message.cancelAt !== null);
  const main: Partial<Record<typeof status, ReactNode>> = {
    asleep: (
      <Button onClick={actions.wake.run} busy={actions.wake.busy}>
        <Sunrise aria-hidden /> Wake
      </Button>
    ),
    failed: (
      <Button variant="primary" onClick={actions.retry.run} busy={actions.retry.busy}>
        <RotateCcw aria-hidden /> Retry
      </Button>
    ),
    working: (
      <Button onClick={actions.cancelTurn.run} busy={actions.cancelTurn.busy || isCancelling}>
        <Square aria-hidden /> {isCancelling ? 'Cancelling' : 'Cancel turn'}
      </Button>
    ),
    ready: (
      <Button onClick={actions.suspend.run} busy={actions.suspend.busy}>
        <Moon aria-hidden /> Put to sleep
      </Button>
    ),
  };
  return (
    <div className="flex items-center gap-1.5">
      {main[status]}
      <Menu
        label="More actions"
        trigger={<Ellipsis className="size-4" aria-hidden />}
        className="size-8 justify-center text-muted hover:bg-hover hover:text-ink"
        items={[
          ...(status === 'working' ? [{ label: 'Put to sleep', icon: <Moon />, onSelect: actions.suspend.run }] : []),
          { label: 'End session…', icon: <CircleStop />, danger: true, onSelect: () => setStopping(true) },
        ]}
      />
      <StopDialog
        open={stopping}
        onClose={() => setStopping(false)}
        stop={actions.stop}
        hasOpenChange={view.change?.state === 'open'}
      />
    </div>
  );
}
