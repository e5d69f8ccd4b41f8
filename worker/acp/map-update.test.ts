import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { TimelineEvent } from '../../server/sessions/timeline.ts';
import {
  EMPTY_TURN,
  mapUpdate,
  replyText,
  restoreTurn,
  TEXT_BLOCK_CHARS_MAX,
  type TimelinePut,
  type TurnView,
} from './map-update.ts';
import { TOOL_OUTPUT_BYTES_MAX } from './tool-content.ts';

const say = (text: string, sessionUpdate = 'agent_message_chunk') => ({ sessionUpdate, content: { type: 'text', text } });
const tool = (toolCallId: string, rest: object = {}) => ({ sessionUpdate: 'tool_call', toolCallId, title: 'Run', ...rest });

function fold(updates: unknown[], from: TurnView = EMPTY_TURN) {
  let view = from;
  const rows = new Map<string, TimelineEvent>();
  for (const update of updates) {
    const step = mapUpdate(view, { sessionId: 's', update });
    view = step.view;
    for (const { key, event } of step.puts) rows.set(key, event);
  }
  return { view, rows: [...rows].map(([key, event]): TimelinePut => ({ key, event })) };
}

describe('mapUpdate', () => {
  it('coalesces streamed text into one row', () => {
    expect(fold([say('Hel'), say('lo')]).rows).toEqual([
      { key: 'text:0', event: { kind: 'agent_text', text: 'Hello', thought: false } },
    ]);
  });

  it('begins a new row after a tool call and when thinking turns to speaking', () => {
    const { rows } = fold([say('hm', 'agent_thought_chunk'), say('A'), tool('t'), say('B')]);
    expect(rows.map(({ key }) => key)).toEqual(['text:0', 'text:1', 'tool:t', 'text:2']);
  });

  it('goes on in a new row before one grows too long', () => {
    const { rows } = fold([say('x'.repeat(TEXT_BLOCK_CHARS_MAX)), say('y')]);
    expect(rows).toHaveLength(2);
  });

  it('spreads one long piece of text over rows, loses none of it and cuts no character in two', () => {
    const text = `x${'🐇'.repeat(TEXT_BLOCK_CHARS_MAX)}`;
    const shown = fold([say(text), say('.')]).rows.map(({ event }) => (event.kind === 'agent_text' ? event.text : ''));
    expect(shown.join('')).toBe(`${text}.`);
    expect(shown.length).toBeGreaterThan(2);
    for (const piece of shown) {
      expect(piece.length).toBeLessThanOrEqual(TEXT_BLOCK_CHARS_MAX);
      expect(piece.isWellFormed()).toBe(true);
    }
  });

  it.each([
    ['a title', tool('t', { title: '🐇'.repeat(1e6) })],
    ['a kind', tool('t', { kind: 'x'.repeat(1e6) })],
    ['an id', tool('t'.repeat(1e6))],
    [
      'many diffs',
      tool('t', { content: Array(1000).fill({ type: 'diff', path: 'x'.repeat(5000), newText: 'y'.repeat(90_000) }) }),
    ],
    ['a plan', { sessionUpdate: 'plan', entries: Array(1000).fill({ content: 'x'.repeat(10_000), status: 'pending' }) }],
    ['a notice', { sessionUpdate: 'notice', severity: 'error', title: 'x'.repeat(1e6), description: 'y'.repeat(1e6) }],
  ])('bounds a row with %s without end', (_, update) => {
    const text = JSON.stringify(fold([update]).rows);
    expect(text.length).toBeLessThan(600_000);
    expect(text).not.toMatch(/\\ud[89a-f]/);
  });

  it('updates a tool call in place and keeps what an update leaves out', () => {
    const { rows } = fold([
      tool('t', { kind: 'execute', rawInput: { command: ['bash', '-lc', 'npm test'] } }),
      {
        sessionUpdate: 'tool_call_update',
        toolCallId: 't',
        status: 'completed',
        content: [{ type: 'content', content: { type: 'text', text: 'ok' } }],
      },
    ]);
    expect(rows).toEqual([
      {
        key: 'tool:t',
        event: {
          kind: 'tool_call',
          toolCallId: 't',
          title: 'Run',
          toolKind: 'execute',
          status: 'completed',
          input: 'npm test',
          output: 'ok',
          diffs: [],
        },
      },
    ]);
  });

  it('shows a tool that was updated without ever being announced', () => {
    expect(fold([{ sessionUpdate: 'tool_call_update', toolCallId: 't', status: 'failed' }]).rows).toMatchObject([
      { event: { kind: 'tool_call', status: 'failed' } },
    ]);
  });

  it('keeps the end of long output', () => {
    const { rows } = fold([tool('t', { rawOutput: { formatted_output: `${'é'.repeat(TOOL_OUTPUT_BYTES_MAX)}END` } })]);
    const event = rows[0]?.event;
    const output = event?.kind === 'tool_call' ? event.output : '';
    expect(output.endsWith('END')).toBe(true);
    expect(Buffer.byteLength(output)).toBeLessThanOrEqual(TOOL_OUTPUT_BYTES_MAX);
    expect(output).not.toContain('\uFFFD');
  });

  it('takes output out of the code block that some agents wrap it in', () => {
    const { rows } = fold([
      tool('t', { content: [{ type: 'content', content: { type: 'text', text: '```sh\na\n```b\n```' } }] }),
    ]);
    expect(rows).toMatchObject([{ event: { output: 'a\n```b' } }]);
  });

  it('carries diffs', () => {
    const diff = { type: 'diff', path: '/workspace/a.ts', oldText: null, newText: 'x' };
    expect(fold([tool('t', { content: [diff] })]).rows).toMatchObject([
      { event: { diffs: [{ path: '/workspace/a.ts', newText: 'x' }] } },
    ]);
  });

  it('keeps one plan per turn', () => {
    const plan = (status: string) => ({ sessionUpdate: 'plan', entries: [{ content: 'Test', status, priority: 'high' }] });
    expect(fold([plan('pending'), plan('completed')]).rows).toEqual([
      { key: 'plan', event: { kind: 'plan', entries: [{ content: 'Test', status: 'completed' }] } },
    ]);
  });

  it('is not disturbed by unknown or malformed updates', () => {
    fc.assert(
      fc.property(fc.anything(), (params) => {
        expect(mapUpdate(EMPTY_TURN, params)).toEqual({ view: EMPTY_TURN, puts: [] });
      }),
    );
    expect(fold([say('a'), { sessionUpdate: 'usage_update', used: 1, size: 2 }, say('b')]).rows).toHaveLength(1);
  });
});

describe('restoreTurn', () => {
  const updates = [
    say('A'),
    tool('t'),
    say('B'),
    say('C', 'agent_thought_chunk'),
    tool('t', { status: 'completed' }),
    say('D'),
    say('E'),
  ];

  it('goes on where another worker stopped: the same rows as without the change', () => {
    const whole = fold(updates).rows.map(({ event }) => event);
    for (let cut = 0; cut <= updates.length; cut += 1) {
      const before = fold(updates.slice(0, cut)).rows.map(({ event }, seq) => ({ seq, event }));
      const { view, seqs } = restoreTurn(before);
      const rows = new Map(before.map(({ seq, event }) => [seq, event]));
      for (const { key, event } of fold(updates.slice(cut), view).rows) {
        const seq = seqs.get(key) ?? rows.size;
        seqs.set(key, seq);
        rows.set(seq, event);
      }
      expect([...rows.values()]).toEqual(whole);
    }
  });
});

describe('replyText', () => {
  const text = (words: string, thought = false): TimelineEvent => ({ kind: 'agent_text', text: words, thought });
  const call = fold([tool('t')]).rows[0]!.event;

  it('is what the agent said after its last tool call', () => {
    expect(replyText([text('I will look.'), call, text('hm', true), text('Fixed '), text('it.')])).toBe('Fixed it.');
  });

  it('is everything it said when it ended on a tool call', () => {
    expect(replyText([text('Working.'), call])).toBe('Working.');
  });
});
