import type { SessionUpdate } from '@agentclientprotocol/sdk';
import { z } from 'zod';
import type { TimelineEvent } from '../../server/sessions/timeline.ts';
import { shorten, toolDiffs, toolOutput, toPlainText, toToolInput } from './tool-content.ts';

/*
 * One turn as people see it: agent frames folded into timeline events, purely. A `put` names its row by a key that is
 * unique within the turn; the same key again means the same row with newer content, so streaming text and a tool's
 * progress change one row in place. Where rows are stored is store-lines.ts's business.
 */
export type TimelinePut = { key: string; event: TimelineEvent };

type AgentText = Extract<TimelineEvent, { kind: 'agent_text' }>;
type ToolCallEvent = Extract<TimelineEvent, { kind: 'tool_call' }>;

export type TurnView = {
  /** Text being added to; null once something else came between. */
  open: { key: string; event: AgentText } | null;
  /** Blocks begun so far: the next block's key. */
  blocks: number;
  tools: Record<string, ToolCallEvent>;
};

export const EMPTY_TURN: TurnView = { open: null, blocks: 0, tools: {} };

/** A block is rewritten with every chunk, so it may not grow without end; the text goes on in the next. */
export const TEXT_BLOCK_CHARS_MAX = 16_000;
/** In characters, so that none is cut in two. */
const PIECES = new RegExp(`[^]{1,${TEXT_BLOCK_CHARS_MAX / 2}}`, 'gu');

/** What one row may hold of what is not text. */
const LABEL_CHARS_MAX = 500;
const DETAIL_CHARS_MAX = 4_000;
const PLAN_ENTRIES_MAX = 100;
/** What a message keeps as its reply, and a review thread as its comment. */
const REPLY_CHARS_MAX = 100_000;

const chunk = z.looseObject({ content: z.unknown().optional() });
const toolFields = {
  toolCallId: z.string().max(LABEL_CHARS_MAX),
  title: z.string().nullish(),
  kind: z.string().nullish(),
  status: z.enum(['pending', 'in_progress', 'completed', 'failed']).nullish().catch(null),
  content: z.array(z.unknown()).nullish(),
  rawInput: z.unknown().optional(),
  rawOutput: z.unknown().optional(),
};
const update = z.discriminatedUnion('sessionUpdate', [
  chunk.extend({ sessionUpdate: z.literal('agent_message_chunk') }),
  chunk.extend({ sessionUpdate: z.literal('agent_thought_chunk') }),
  z.looseObject({ sessionUpdate: z.literal('tool_call'), ...toolFields }),
  z.looseObject({ sessionUpdate: z.literal('tool_call_update'), ...toolFields }),
  z.looseObject({
    sessionUpdate: z.literal('plan'),
    entries: z.array(z.object({ content: z.string(), status: z.enum(['pending', 'in_progress', 'completed']) })),
  }),
  z.looseObject({
    sessionUpdate: z.literal('notice'),
    severity: z.string(),
    title: z.string(),
    description: z.string().nullish(),
  }),
]) satisfies z.ZodType<{ sessionUpdate: SessionUpdate['sessionUpdate'] }>;
type Update = z.infer<typeof update>;

const notification = z.object({ sessionId: z.string(), update });

/**
 * Folds one `session/update` into the turn. Kinds people need not see (commands, modes, usage, titles) and malformed
 * updates change nothing: the raw frame is kept either way.
 */
export function mapUpdate(view: TurnView, params: unknown): { view: TurnView; puts: TimelinePut[] } {
  const parsed = notification.safeParse(params);
  if (!parsed.success) return { view, puts: [] };
  const body = parsed.data.update;
  switch (body.sessionUpdate) {
    case 'agent_message_chunk':
    case 'agent_thought_chunk':
      return addText(view, toPlainText(body.content), body.sessionUpdate === 'agent_thought_chunk');
    case 'tool_call':
    case 'tool_call_update':
      return putTool(view, body);
    case 'plan':
      return { view: { ...view, open: null }, puts: [{ key: 'plan', event: { kind: 'plan', entries: planEntries(body) } }] };
    case 'notice':
      return addNotice(view, body);
  }
}

function planEntries({ entries }: Extract<Update, { sessionUpdate: 'plan' }>) {
  return entries
    .slice(0, PLAN_ENTRIES_MAX)
    .map(({ content, status }) => ({ content: shorten(content, LABEL_CHARS_MAX), status }));
}

function addText(view: TurnView, text: string, thought: boolean) {
  const puts: TimelinePut[] = [];
  let now = view;
  for (const piece of text.match(PIECES) ?? []) {
    const step = addPiece(now, piece, thought);
    now = step.view;
    puts.push(...step.puts);
  }
  return { view: now, puts };
}

function addPiece(view: TurnView, text: string, thought: boolean) {
  const continues =
    view.open && view.open.event.thought === thought && view.open.event.text.length + text.length <= TEXT_BLOCK_CHARS_MAX;
  const open =
    continues && view.open
      ? { key: view.open.key, event: { ...view.open.event, text: view.open.event.text + text } }
      : { key: `text:${view.blocks}`, event: { kind: 'agent_text' as const, text, thought } };
  return { view: { ...view, open, blocks: continues ? view.blocks : view.blocks + 1 }, puts: [open] };
}

function putTool(view: TurnView, body: Extract<Update, { sessionUpdate: 'tool_call' | 'tool_call_update' }>) {
  const before = view.tools[body.toolCallId];
  const event: ToolCallEvent = {
    kind: 'tool_call',
    toolCallId: body.toolCallId,
    title: shorten(body.title ?? before?.title ?? 'Tool call', LABEL_CHARS_MAX),
    toolKind: shorten(body.kind ?? before?.toolKind ?? 'other', LABEL_CHARS_MAX),
    status: body.status ?? before?.status ?? 'pending',
    input: toToolInput(body.rawInput) ?? before?.input ?? null,
    output: toolOutput(body.content, body.rawOutput) ?? before?.output ?? '',
    diffs: toolDiffs(body.content) ?? before?.diffs ?? [],
  };
  return {
    view: { ...view, open: null, tools: { ...view.tools, [body.toolCallId]: event } },
    puts: [{ key: `tool:${body.toolCallId}`, event }],
  };
}

function addNotice(view: TurnView, body: Extract<Update, { sessionUpdate: 'notice' }>) {
  const title = shorten(body.title, LABEL_CHARS_MAX);
  const detail = shorten(body.description ?? '', DETAIL_CHARS_MAX);
  const event: TimelineEvent =
    body.severity === 'error'
      ? { kind: 'error', title, detail, nextStep: null }
      : { kind: 'progress', label: title, ms: null, detail: detail || null };
  return { view: { ...view, open: null, blocks: view.blocks + 1 }, puts: [{ key: `notice:${view.blocks}`, event }] };
}

/**
 * The turn as its stored rows tell it, for a worker that takes over in the middle. Keys live in a worker's memory only:
 * they are given anew, and `seqs` says which row each now names.
 */
export function restoreTurn(rows: readonly { seq: number; event: TimelineEvent }[]): {
  view: TurnView;
  seqs: Map<string, number>;
} {
  const seqs = new Map<string, number>();
  const tools: Record<string, ToolCallEvent> = {};
  let open: TurnView['open'] = null;
  rows.forEach(({ seq, event }, index) => {
    open = event.kind === 'agent_text' ? { key: `text:${index}`, event } : null;
    if (open) seqs.set(open.key, seq);
    if (event.kind === 'plan') seqs.set('plan', seq);
    if (event.kind !== 'tool_call') return;
    tools[event.toolCallId] = event;
    seqs.set(`tool:${event.toolCallId}`, seq);
  });
  return { view: { open, blocks: rows.length, tools }, seqs };
}

/** What the agent said last, thoughts left out: every text row after the turn's last tool call. */
export function replyText(rows: readonly TimelineEvent[]): string {
  const lastTool = rows.findLastIndex(({ kind }) => kind === 'tool_call');
  const said = (events: readonly TimelineEvent[]) =>
    events.flatMap((event) => (event.kind === 'agent_text' && !event.thought ? [event.text] : [])).join('');
  return shorten((said(rows.slice(lastTool + 1)) || said(rows)).trim(), REPLY_CHARS_MAX);
}
