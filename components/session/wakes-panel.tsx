import { Bell, Moon, Sunrise } from 'lucide-react';
import type { ReactNode } from 'react';
import { Badge } from '../ui/badge.tsx';
import { formatBytes, formatDuration, plural } from '../ui/format.ts';
import { EmptyState } from '../ui/notes.tsx';
import { ClockTime } from '../ui/time.tsx';
import type { SessionView } from './session-page.tsx';
import { WAKE_CAUSES } from './wake-causes.ts';

type Wake = SessionView['wakes'][number];
type Entry = { key: string; at: Date; content: ReactNode };

/** Every time the session slept and woke, with the proof that it was the same machine. Newest first. */
export function WakesPanel({ view }: { view: SessionView }) {
  const entries: Entry[] = [
    ...view.wakes.map((wake) => ({
      key: wake.id,
      at: wake.requestedAt,
      content: <WakeEntry wake={wake} isAsleep={view.status === 'asleep'} />,
    })),
    ...view.suspends.map((suspend) => ({
      key: `s${suspend.at.toISOString()}`,
      at: suspend.at,
      content: <SuspendEntry suspend={suspend} />,
    })),
  ].sort((a, b) => b.at.getTime() - a.at.getTime());

  if (entries.length === 0) {
    return (
      <EmptyState icon={<Bell />} title="It has not slept yet">
        When its turn is over and nothing runs, the machine is put to sleep. Each wake is listed here with its cause, how long it
        took and whether the same process went on.
      </EmptyState>
    );
  }
  return (
    <div className="p-4">
      <ol className="flex flex-col">
        {entries.map(({ key, at, content }) => (
          <li key={key} className="flex gap-3 border-b py-2.5 first:pt-0 last:border-b-0">
            <ClockTime at={at} className="w-14 shrink-0 pt-px text-faint text-xs" />
            <div className="min-w-0 flex-1">{content}</div>
          </li>
        ))}
      </ol>
      {view.machine?.bootId && (
        <p className="mt-4 break-all text-faint text-xs">
          Running now with boot id <code>{view.machine.bootId}</code>, lease {view.machine.lease}.
        </p>
      )}
    </div>
  );
}

function WakeEntry({ wake, isAsleep }: { wake: Wake; isAsleep: boolean }) {
  return (
    <>
      <p className="flex items-center gap-2">
        <Sunrise className="size-3.5 shrink-0 text-accent" aria-hidden />
        <span>
          Woken: {WAKE_CAUSES[wake.cause] ?? wake.cause}
          {wake.latencyMs !== null && (
            <>
              , answered in <span className="whitespace-nowrap font-medium tabular-nums">{formatDuration(wake.latencyMs)}</span>
            </>
          )}
        </span>
        {wake.outcome === 'pending' && <Badge tone="warn">{isAsleep ? 'waits for room' : 'waking'}</Badge>}
      </p>
      {wake.sameBootId !== null && (
        <p className="mt-1.5 flex flex-wrap gap-1.5">
          <Proof holds={wake.sameBootId} yes="same boot id" no="other boot id" />
          {wake.sameAgentProcess !== null && (
            <Proof holds={wake.sameAgentProcess} yes="same agent process" no="new agent process" />
          )}
        </p>
      )}
      {wake.detail && <p className="mt-1 text-muted text-xs">{wake.detail}</p>}
    </>
  );
}

function SuspendEntry({ suspend }: { suspend: SessionView['suspends'][number] }) {
  return (
    <>
      <p className="flex items-center gap-2">
        <Moon className="size-3.5 text-accent" aria-hidden />
        <span>
          Asleep, released in{' '}
          <span className="whitespace-nowrap font-medium tabular-nums">{formatDuration(suspend.releasedMs)}</span>
        </span>
      </p>
      <p className="mt-1.5 flex flex-wrap gap-1.5">
        <Proof holds={suspend.processGone} yes="QEMU process gone" no="QEMU process still seen" />
        <Badge>{plural(suspend.processes, 'process', 'processes')} kept</Badge>
        <Badge>{formatBytes(suspend.storedBytes)} on disk</Badge>
      </p>
    </>
  );
}

function Proof({ holds, yes, no }: { holds: boolean; yes: string; no: string }) {
  return <Badge tone={holds ? 'good' : 'bad'}>{holds ? yes : no}</Badge>;
}
