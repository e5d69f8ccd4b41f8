import { describe, expect, it } from 'vitest';
import type { TimelineEvent, TimelineRow } from '../../../server/sessions/timeline.ts';
import { groupRows } from './group-rows.ts';

const rows = (...events: TimelineEvent[]): TimelineRow[] =>
  events.map((event, index) => ({ seq: index + 1, rev: index + 1, at: '2026-11-24T00:00:00.000Z', event }));
const step = (label: string): TimelineEvent => ({ kind: 'progress', label, ms: 1, detail: null });
const text: TimelineEvent = { kind: 'agent_text', text: 'hello', thought: false };

describe('groupRows', () => {
  it('puts steps that follow each other together', () => {
    const items = groupRows(rows(step('a'), step('b'), text, step('c')));
    expect(items.map((item) => (item.kind === 'progress' ? item.rows.length : item.row.event.kind))).toEqual([
      2,
      'agent_text',
      1,
    ]);
  });

  it('keeps steps together across a change of state that they tell better', () => {
    const moved: TimelineEvent = { kind: 'transition', from: 'created', to: 'provisioning', reason: 'created' };
    expect(groupRows(rows(step('a'), moved, step('b')))).toHaveLength(1);
  });

  it('shows the end of a session, and of a turn only when it was not an ordinary one', () => {
    const items = groupRows(
      rows(
        { kind: 'turn_ended', messageId: 'm', stopReason: 'end_turn' },
        { kind: 'turn_ended', messageId: 'm', stopReason: 'cancelled' },
        { kind: 'transition', from: 'stopping', to: 'stopped', reason: 'change merged' },
      ),
    );
    expect(items.map((item) => item.key)).toEqual([2, 3]);
  });
});
