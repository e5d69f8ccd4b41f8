import { Check } from 'lucide-react';
import { formatDuration } from '../../ui/format.ts';
import { Spinner } from '../../ui/spinner.tsx';
import type { TimelineItem } from './group-rows.ts';

type Props = { rows: Extract<TimelineItem, { kind: 'progress' }>['rows']; isLast: boolean };

/** Steps of making or waking a machine with what each took; folded once something follows. */
export function ProgressGroup({ rows, isLast }: Props) {
  const totalMs = rows.reduce((sum, { event }) => sum + (event.ms ?? 0), 0);
  const running = rows.filter(({ event }) => event.ms === null);
  const last = rows.at(-1)!;
  return (
    <details open={isLast || undefined} className="group text-xs">
      <summary className="flex list-none items-center gap-2 text-faint hover:text-muted">
        <span className="flex size-4 items-center justify-center">
          {isLast && running.length > 0 ? <Spinner className="size-3" /> : <Check className="size-3" aria-hidden />}
        </span>
        <span className="truncate">{rows.length === 1 ? last.event.label : `${last.event.label} · ${rows.length} steps`}</span>
        {totalMs > 0 && <span className="tabular-nums">{formatDuration(totalMs)}</span>}
      </summary>
      <ol className="mt-1 ml-2 border-l pl-4">
        {rows.map(({ seq, event }) => (
          <li key={seq} className="flex items-baseline gap-3 py-0.5 text-muted">
            <span className="min-w-0 flex-1">
              {event.label}
              {event.detail && <span className="block whitespace-pre-wrap break-words text-faint">{event.detail}</span>}
            </span>
            <span className="shrink-0 font-mono text-2xs text-faint tabular-nums">
              {event.ms === null ? '' : formatDuration(event.ms)}
            </span>
          </li>
        ))}
      </ol>
    </details>
  );
}
