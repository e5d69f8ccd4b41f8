'use client';
import { ArrowDown } from 'lucide-react';
import { useOrg } from '../layout/org-context.tsx';
import { ErrorNote } from '../ui/notes.tsx';
import { Composer } from './composer.tsx';
import { LiveRow } from './live-row.tsx';
import type { SessionView } from './session-page.tsx';
import { Timeline } from './timeline/timeline.tsx';
import { useSessionEvents } from './use-session-events.ts';
import { useStickToEnd } from './use-stick-to-end.ts';

/** The timeline with what goes on now at its end, and the composer. */
export function Conversation({ view }: { view: SessionView }) {
  const { org } = useOrg();
  const events = useSessionEvents(org.slug, view.session.id);
  const { scroller, content, isAtEnd, goToEnd } = useStickToEnd();
  return (
    <>
      <div className="relative min-h-0 flex-1">
        <section ref={scroller} aria-label="Timeline" className="h-full overflow-y-auto">
          <div ref={content} className="mx-auto flex max-w-3xl flex-col gap-3 px-4 py-4">
            {events.error && <ErrorNote error={events.error} title="The timeline could not be read." />}
            <Timeline rows={events.data?.rows ?? []} view={view} />
            <LiveRow view={view} />
          </div>
        </section>
        {!isAtEnd && (
          <button
            type="button"
            onClick={goToEnd}
            className="-translate-x-1/2 absolute bottom-3 left-1/2 inline-flex h-7 items-center gap-1.5 rounded-full border border-line-strong bg-surface px-3 text-xs shadow-md hover:bg-hover"
          >
            <ArrowDown className="size-3.5" aria-hidden /> Latest
          </button>
        )}
      </div>
      <Composer view={view} />
    </>
  );
}
