import type { TimelineEvent, TimelineRow } from '../../../server/sessions/timeline.ts';

type ProgressRow = TimelineRow & { event: Extract<TimelineEvent, { kind: 'progress' }> };

export type TimelineItem =
  | { kind: 'progress'; key: number; rows: ProgressRow[] }
  | { kind: 'row'; key: number; row: TimelineRow };

function isProgress(row: TimelineRow): row is ProgressRow {
  return row.event.kind === 'progress';
}

/** States that a row of their own tells better: `suspended`, `woke`, progress, errors. */
const TOLD_ELSEWHERE = new Set(['provisioning', 'running', 'suspending', 'suspended', 'resuming', 'stopping', 'failed']);

/** Puts steps that follow each other together and leaves out what other rows tell. */
export function groupRows(rows: readonly TimelineRow[]): TimelineItem[] {
  const items: TimelineItem[] = [];
  for (const row of rows) {
    const { event } = row;
    if (event.kind === 'transition' && TOLD_ELSEWHERE.has(event.to)) continue;
    if (event.kind === 'turn_ended' && event.stopReason === 'end_turn') continue;
    if (event.kind === 'agent_text' && event.text.trim() === '') continue;
    const last = items.at(-1);
    if (!isProgress(row)) items.push({ kind: 'row', key: row.seq, row });
    else if (last?.kind === 'progress') last.rows.push(row);
    else items.push({ kind: 'progress', key: row.seq, rows: [row] });
  }
  return items;
}
