import type { TimelineRow } from '../../server/sessions/timeline.ts';

export type Timeline = { rows: TimelineRow[]; rev: number };

export const EMPTY_TIMELINE: Timeline = { rows: [], rev: 0 };

/** Adds what came after the timeline's revision: rows are replaced or inserted by `seq`; untouched ones stay the same objects. */
export function mergeTimeline(timeline: Timeline, reply: Timeline): Timeline {
  if (reply.rows.length === 0) return reply.rev > timeline.rev ? { ...timeline, rev: reply.rev } : timeline;
  const bySeq = new Map(timeline.rows.map((row) => [row.seq, row]));
  for (const row of reply.rows) {
    const present = bySeq.get(row.seq);
    if (!present || present.rev <= row.rev) bySeq.set(row.seq, row);
  }
  return { rows: [...bySeq.values()].sort((a, b) => a.seq - b.seq), rev: Math.max(timeline.rev, reply.rev) };
}
