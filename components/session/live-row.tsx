'use client';
import { useEffect, useState } from 'react';
import { useOrg } from '../layout/org-context.tsx';
import { useTroubles } from '../realtime/realtime-provider.tsx';
import { OutputBlock } from '../ui/code-block.tsx';
import { formatDuration } from '../ui/format.ts';
import { Link } from '../ui/link.tsx';
import { ErrorNote } from '../ui/notes.tsx';
import { Spinner } from '../ui/spinner.tsx';
import type { SessionView } from './session-page.tsx';
import { TROUBLE_LABELS } from './status.tsx';

/** What goes on right now, and for how long; nothing while the session rests. */
export function LiveRow({ view }: { view: SessionView }) {
  const { status, session, templateProgress, queued } = view;
  const { org } = useOrg();
  const trouble = useTroubles()[session.id];
  const working = queued.find((message) => message.state === 'delivered');
  // A message that woke the machine waited until it was awake.
  const since = working && working.createdAt > session.stateSince ? working.createdAt : session.stateSince;
  const label = {
    starting:
      templateProgress?.state === 'building' ? 'First start: the template is built once for all sessions' : 'Starting a machine',
    working: 'Working',
    falling_asleep: 'Falling asleep',
    waking: 'Waking the machine',
    ending: 'Ending: removing the machine and its snapshots',
    ready: null,
    asleep: null,
    ended: null,
    failed: null,
  }[status];
  if (status === 'failed' && session.stateReason) return <ErrorNote title="The session failed" error={session.stateReason} />;
  if (label === null) return null;
  return (
    <div className="flex flex-col gap-2">
      <div role="status" className="flex items-center gap-2 text-muted">
        <Spinner />
        <span>{trouble ? TROUBLE_LABELS[trouble.what] : label}</span>
        <Elapsed since={since} />
      </div>
      {status === 'starting' && templateProgress && (
        <details className="group rounded-md border" open={templateProgress.state === 'failed'}>
          <summary className="px-3 py-1.5 text-muted text-xs">
            Template log · <Link href={`/${org.slug}/repositories/${view.repository.slug}`}>{view.repository.name}</Link>
          </summary>
          <OutputBlock
            follow
            text={templateProgress.logTail || 'Nothing printed yet.'}
            className="max-h-56 rounded-none border-0 border-t"
          />
        </details>
      )}
    </div>
  );
}

function Elapsed({ since }: { since: Date }) {
  const [now, setNow] = useState<number | null>(null);
  useEffect(() => {
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), 1_000);
    return () => clearInterval(timer);
  }, []);
  if (now === null) return null;
  const ms = Math.max(0, now - new Date(since).getTime());
  return (
    <span className="whitespace-nowrap text-faint text-xs tabular-nums">
      {ms < 1_000 ? '' : formatDuration(Math.floor(ms / 1_000) * 1_000)}
    </span>
  );
}
