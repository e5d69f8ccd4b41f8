import type { Line } from './frame-splitter.ts';
import { type AgentFrame, answerFrame, type ClientFrame, parseLine, type RpcError } from './frames.ts';
import { mapUpdate, type TimelinePut, type TurnView } from './map-update.ts';
import { agentText } from './tool-content.ts';
import { FRAME_KEPT_BYTES_MAX, isOver, type Spent, TURN_MAX } from './turn-budget.ts';

/*
 * What lines of an agent's stdout mean, purely. Every line moves the reader on; what is kept of it depends on what the turn
 * has spent. The line that crosses the budget leaves a note in its place, and those after it nothing, so that reading the
 * same lines again keeps the same rows.
 */

export type AgentReply = { ok: true; result: unknown } | { ok: false; error: RpcError };

export type ReadFrom = {
  offset: number;
  spent: Spent;
  /** Keys of the rows the turn has already. */
  keys: ReadonlySet<string>;
  /** Null outside a turn: then nothing the agent says is shown. */
  view: TurnView | null;
  /** The JSON-RPC id whose answer is waited for. */
  awaited: number;
  /** Text that the agent's own machinery says, not the agent. */
  noise?: RegExp;
};

export type ReadLines = {
  view: TurnView | null;
  spent: Spent;
  reply: AgentReply | null;
  puts: TimelinePut[];
  frames: { endOffset: number; raw: unknown }[];
  /** What the agent is told at once; one that is not kept is lost with a worker that dies before it has written it. */
  answers: { offset: number; frame: ClientFrame; kept: boolean }[];
};

const SHOWN_LINE_CHARS_MAX = 500;
/** Of the row that says so, once. */
export const OVER_TITLE = 'The agent wrote more in this turn than is kept';

export function readLines(from: ReadFrom, lines: readonly Line[], max: Spent = TURN_MAX): ReadLines {
  const keys = new Set(from.keys);
  const read: ReadLines = { view: from.view, spent: from.spent, reply: null, puts: [], frames: [], answers: [] };
  let { offset } = from;
  for (const line of lines) {
    const bytes = line.endOffset - offset;
    offset = line.endOffset;
    const { raw, view, puts, reply, answer } = readLine(line, read.view, from);
    const before = read.spent;
    const added = new Set(puts.map(({ key }) => key).filter((key) => !keys.has(key)));
    read.spent = {
      bytes: before.bytes + bytes,
      frames: before.frames + (answer ? 2 : 1),
      rows: before.rows + added.size,
    };
    const over = isOver(read.spent, max);
    read.reply = reply ?? read.reply;
    if (answer) read.answers.push({ offset: -line.endOffset, frame: answer, kept: !over });
    if (isOver(before, max)) continue;
    read.frames.push({ endOffset: line.endOffset, raw: over || bytes > FRAME_KEPT_BYTES_MAX ? noteOf(line, bytes) : raw });
    read.puts.push(...(over ? [overPut(max)] : puts));
    if (over) continue;
    read.view = view;
    for (const key of added) keys.add(key);
  }
  return read;
}

type Step = Pick<ReadLines, 'view' | 'reply' | 'puts'> & { raw: unknown; answer: ClientFrame | null };

function readLine(line: Line, view: TurnView | null, { awaited, noise }: ReadFrom): Step {
  const parsed = line.kind === 'line' ? parseLine(line.text) : null;
  const nothing = { view, reply: null, puts: [], answer: null };
  if (!parsed?.ok) return { ...nothing, ...refusedLine(line, parsed?.reason) };
  const { frame, raw } = parsed;
  if (frame.kind === 'request') return { ...nothing, raw, answer: answerFrame(frame) };
  if (frame.kind !== 'notification') return { ...nothing, raw, reply: frame.id === awaited ? toReply(frame) : null };
  if (view === null || frame.method !== 'session/update' || isNoise(frame.params, noise)) return { ...nothing, raw };
  return { ...nothing, raw, ...mapUpdate(view, frame.params) };
}

function toReply(frame: Extract<AgentFrame, { kind: 'result' | 'error' }>): AgentReply {
  return frame.kind === 'result' ? { ok: true, result: frame.result } : { ok: false, error: frame.error };
}

function isNoise(params: unknown, noise: RegExp | undefined): boolean {
  const text = noise && agentText(params);
  return text ? (noise?.test(text) ?? false) : false;
}

function shownStart(line: Line): string {
  return line.kind === 'line' ? line.text.slice(0, SHOWN_LINE_CHARS_MAX).toWellFormed().replaceAll('\0', '\uFFFD') : '';
}

/** A line that is no frame: kept as far as it can be shown, told to the person, and the turn goes on. */
function refusedLine(line: Line, reason = 'too long') {
  const text = shownStart(line);
  const detail =
    line.kind === 'line' ? `${reason}: ${text}` : `one message of ${line.bytes} bytes, more than the protocol allows`;
  const event = { kind: 'error' as const, title: 'The agent wrote something that is not a message', detail, nextStep: null };
  // One row, whatever the agent goes on writing: a program that logs to stdout must not fill the timeline.
  const put: TimelinePut = { key: 'refused', event };
  return { puts: [put], raw: { warrenRefused: reason, text } };
}

const noteOf = (line: Line, bytes: number) => ({ warrenTruncated: true, bytes, text: shownStart(line) });

function overPut({ bytes, frames, rows }: Spent): TimelinePut {
  return {
    key: 'over',
    event: {
      kind: 'error',
      title: OVER_TITLE,
      detail: `Of one turn ${bytes / 2 ** 20} MiB, ${frames} messages and ${rows} entries of the timeline are kept. The turn goes on; what the agent says in the rest of it is not shown.`,
      nextStep: 'Look at the changes and the terminal to see what it does. Cancel the turn if it makes no progress.',
    },
  };
}
