import { describe, expect, it } from 'vitest';
import type { TimelineRow } from '../../server/sessions/timeline.ts';
import { EMPTY_TIMELINE, mergeTimeline } from './merge-timeline.ts';

function aRow(seq: number, rev: number, text = 'hello'): TimelineRow {
  return { seq, rev, at: '2026-11-24T00:00:00.000Z', event: { kind: 'agent_text', text, thought: false } };
}

describe('mergeTimeline', () => {
  it('changes nothing when nothing came', () => {
    const timeline = { rows: [aRow(1, 1)], rev: 1 };
    expect(mergeTimeline(timeline, { rows: [], rev: 1 })).toBe(timeline);
  });

  it('puts rows in the order of seq, whatever the order of rev', () => {
    const merged = mergeTimeline(EMPTY_TIMELINE, { rows: [aRow(2, 1), aRow(1, 2)], rev: 2 });
    expect(merged.rows.map(({ seq }) => seq)).toEqual([1, 2]);
    expect(merged.rev).toBe(2);
  });

  it('replaces a row that grew and keeps the others as they are', () => {
    const first = aRow(1, 1);
    const merged = mergeTimeline({ rows: [first, aRow(2, 2, 'he')], rev: 2 }, { rows: [aRow(2, 3, 'hello')], rev: 3 });
    expect(merged.rows[0]).toBe(first);
    expect(merged.rows[1]?.event).toMatchObject({ text: 'hello' });
  });

  it('never goes back to an older revision of a row', () => {
    const merged = mergeTimeline({ rows: [aRow(1, 5, 'new')], rev: 5 }, { rows: [aRow(1, 4, 'old')], rev: 4 });
    expect(merged.rows[0]?.event).toMatchObject({ text: 'new' });
    expect(merged.rev).toBe(5);
  });
});
