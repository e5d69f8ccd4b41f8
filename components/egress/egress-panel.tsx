'use client';
import type { SessionView } from '../session/session-page.tsx';
import { EgressLog } from './egress-log.tsx';

/** What the session's machines tried to reach, and what the proxy said; also while it sleeps. */
export function EgressPanel({ view }: { view: SessionView }) {
  return (
    <div className="px-4 py-3">
      <EgressLog sessionId={view.session.id} isLive={view.status === 'working'} />
    </div>
  );
}
