'use client';
import type { TimelineRow } from '../../../server/sessions/timeline.ts';
import type { SessionView } from '../session-page.tsx';
import { EventRow } from './event-row.tsx';
import { groupRows } from './group-rows.ts';
import { ProgressGroup } from './progress-group.tsx';

export function Timeline({ rows, view }: { rows: TimelineRow[]; view: SessionView }) {
  const items = groupRows(rows);
  return (
    <ol className="flex flex-col gap-3">
      {items.map((item, index) => (
        <li key={item.key}>
          {item.kind === 'progress' ? (
            <ProgressGroup rows={item.rows} isLast={index === items.length - 1} />
          ) : (
            <EventRow row={item.row} repositorySlug={view.repository.slug} queued={view.queued} />
          )}
        </li>
      ))}
    </ol>
  );
}
