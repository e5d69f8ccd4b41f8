import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FrameSplitter } from './frame-splitter.ts';
import { EMPTY_TURN } from './map-update.ts';
import { type ReadFrom, readLines } from './read-lines.ts';
import { FRAME_KEPT_BYTES_MAX, NOTHING_SPENT, type Spent } from './turn-budget.ts';

const MAX: Spent = { bytes: 10_000, frames: 8, rows: 4 };
const START: ReadFrom = { offset: 0, spent: NOTHING_SPENT, keys: new Set(), view: EMPTY_TURN, awaited: 7 };
const OVER = expect.objectContaining({ key: 'over' });

const notice = (title: string) => update({ sessionUpdate: 'notice', severity: 'info', title });
const update = (body: object) => ({ jsonrpc: '2.0', method: 'session/update', params: { sessionId: 's', update: body } });
const ask = (id: string) => ({ jsonrpc: '2.0', id, method: 'fs/read' });
const reply = { jsonrpc: '2.0', id: 7, result: { stopReason: 'end_turn' } };
const ping = { jsonrpc: '2.0', method: 'ping' };

const linesOf = (frames: unknown[]) =>
  new FrameSplitter(0).push(Buffer.from(frames.map((frame) => `${JSON.stringify(frame)}\n`).join('')));
const read = (frames: unknown[], max = MAX) => readLines(START, linesOf(frames), max);

/** As a reader does that gets its lines in two pieces, and remembers nothing else. */
function readInTwo(frames: unknown[], cut: number) {
  const lines = linesOf(frames);
  const first = readLines(START, lines.slice(0, cut), MAX);
  const { spent, view } = first;
  const offset = lines[cut - 1]?.endOffset ?? 0;
  const second = readLines(
    { ...START, offset, spent, view, keys: new Set(first.puts.map(({ key }) => key)) },
    lines.slice(cut),
    MAX,
  );
  return [...first.frames, ...second.frames];
}

describe('what is kept of a turn', () => {
  it('is everything within the budget', () => {
    const { frames, puts, spent } = read([notice('a'), notice('b'), ping]);
    expect(frames.map(({ raw }) => raw)).toEqual([notice('a'), notice('b'), ping]);
    expect(puts.map(({ key }) => key)).toEqual(['notice:0', 'notice:1']);
    expect(spent).toEqual({ bytes: linesOf([notice('a'), notice('b'), ping]).at(-1)?.endOffset, frames: 3, rows: 2 });
  });

  it.each([
    ['rows of the timeline', Array.from({ length: 20 }, (_, index) => notice(`n${index}`)), MAX.rows],
    ['frames', Array(20).fill(ping), MAX.frames],
    ['bytes', [ping, ...Array(20).fill(notice('x'.repeat(4000)))], 3],
  ])('ends with too many %s: one note in place of the line that is too much, told once', (_, frames, kept) => {
    const result = read([...frames, reply]);
    expect(result.frames).toHaveLength(kept + 1);
    expect(result.frames.at(-1)?.raw).toMatchObject({ warrenTruncated: true });
    expect(result.puts.filter(({ key }) => key === 'over')).toHaveLength(1);
    expect(result.puts.at(-1)).toEqual(OVER);
    expect(result.reply).toEqual({ ok: true, result: { stopReason: 'end_turn' } });
  });

  it('is the same however the lines come', () => {
    const frame = fc.oneof(fc.constant(ping), fc.string({ maxLength: 3000 }).map(notice), fc.string().map(ask));
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 20 }), fc.nat(20), (frames, cut) => {
        expect(readInTwo(frames, Math.min(cut, frames.length))).toEqual(read(frames).frames);
      }),
    );
  });

  it('counts a row once, however often the agent rewrites it', () => {
    const say = update({ sessionUpdate: 'agent_message_chunk', content: { type: 'text', text: 'x' } });
    expect(read(Array(8).fill(say)).spent.rows).toBe(1);
  });

  it('is a note of a frame that is too long, and all of what it means', () => {
    const long = update({
      sessionUpdate: 'agent_message_chunk',
      content: { type: 'text', text: 'x' },
      pad: 'y'.repeat(FRAME_KEPT_BYTES_MAX),
    });
    const { frames, puts } = read([long], { ...MAX, bytes: 2 ** 20 });
    expect(JSON.stringify(frames[0]?.raw).length).toBeLessThan(1000);
    expect(puts).toMatchObject([{ event: { kind: 'agent_text', text: 'x' } }]);
  });

  it('leaves no request unanswered, and keeps no answer beyond the budget', () => {
    const { answers } = read(Array.from({ length: 20 }, (_, index) => ask(`r${index}`)));
    expect(answers).toHaveLength(20);
    expect(answers.filter(({ kept }) => kept)).toHaveLength(MAX.frames / 2);
  });

  it('is no answer of unbounded size', () => {
    const long = 'x'.repeat(1_000_000);
    const asked = { id: 1, method: 'session/request_permission', params: { options: [{ optionId: long, kind: 'allow_once' }] } };
    const { answers } = readLines(START, linesOf([asked, ask(long), { id: 2, method: long }]), { ...MAX, bytes: 1e7 });
    expect(JSON.stringify(answers).length).toBeLessThan(1000);
  });
});
