import Link from 'next/link';
import { STATUS_LABELS } from '../../server/sessions/status.ts';
import type { ApiOutputs } from '../api/trpc.ts';
import { ChangeBadge } from '../change/change-badge.tsx';
import { useOrg } from '../layout/org-context.tsx';
import { LinkPending } from '../ui/link-pending.tsx';
import { Ago } from '../ui/time.tsx';
import { ScriptedBadge, StatusIcon } from './status.tsx';

export type SessionSummary = ApiOutputs['sessions']['list'][number];

export function SessionRow({ session, hideRepository }: { session: SessionSummary; hideRepository?: boolean }) {
  const { org } = useOrg();
  return (
    <li className="relative flex items-center gap-3 border-b px-4 py-2.5 hover:bg-hover/60 md:px-6">
      <StatusIcon status={session.status} />
      <div className="min-w-0 flex-1">
        <div className="flex min-w-0 items-center gap-2">
          <Link
            href={`/${org.slug}/sessions/${session.id}`}
            className="truncate font-medium after:absolute after:inset-0 focus-visible:outline-none focus-visible:after:rounded focus-visible:after:outline-2 focus-visible:after:outline-accent focus-visible:after:-outline-offset-2"
          >
            {session.title}
            <LinkPending className="ml-2 inline-block" />
          </Link>
        </div>
        <div className="mt-0.5 flex flex-wrap items-center gap-x-2 text-faint text-xs">
          <span className="text-muted">{statusLine(session)}</span>
          {!hideRepository && <span>{session.repository.name}</span>}
          <span className="hidden sm:inline">by {session.createdBy}</span>
          {/* Beside the title it would leave a phone half a line for it. */}
          <Ago at={session.activeAt} className="sm:hidden" />
        </div>
      </div>
      <div className="flex shrink-0 items-center gap-2">
        {session.scripted && (
          <span className="hidden lg:inline-flex">
            <ScriptedBadge />
          </span>
        )}
        {session.change && (
          <ChangeBadge number={session.change.number} state={session.change.state} checks={session.change.checks} />
        )}
      </div>
      <Ago at={session.activeAt} className="hidden w-[4.5rem] shrink-0 text-right sm:block text-faint text-xs" />
    </li>
  );
}

/** The status in words, with what a resting session waits for. */
function statusLine(session: SessionSummary): string {
  const label = STATUS_LABELS[session.status];
  if (session.status === 'failed' && session.stateReason) return `${label}: ${session.stateReason}`;
  const waits = session.status === 'asleep' || session.status === 'ready' || session.status === 'falling_asleep';
  if (!waits || !session.change || session.change.state !== 'open') return label;
  const running = session.change.checks.filter(({ state }) => state === 'queued' || state === 'running');
  if (running.length > 0) return `${label}, waiting for ${running.map(({ name }) => name).join(', ')}`;
  return `${label}, waiting for review`;
}
