import { z } from 'zod';

/*
 * What a person sees of a session, in order. Rows are kept in SessionEvent; agent text and tool calls are updated in place
 * while they stream (same `seq`, higher `rev`). Shared by the worker, which writes, and the page, which reads.
 */
const diffSchema = z.object({ path: z.string(), oldText: z.string().nullable(), newText: z.string() });

export const timelineEventSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('transition'), from: z.string(), to: z.string(), reason: z.string() }),
  /** A task, message, failed check or review comment on its way to the agent. */
  z.object({
    kind: z.literal('message'),
    messageId: z.string(),
    messageKind: z.enum(['task', 'message', 'check_failed', 'review_comment']),
    text: z.string(),
    authorName: z.string().nullable(),
  }),
  z.object({ kind: z.literal('agent_text'), text: z.string(), thought: z.boolean() }),
  z.object({
    kind: z.literal('tool_call'),
    toolCallId: z.string(),
    title: z.string(),
    toolKind: z.string(),
    status: z.enum(['pending', 'in_progress', 'completed', 'failed']),
    /** Command or arguments as one line. */
    input: z.string().nullable(),
    /** The last 16 KiB. */
    output: z.string(),
    diffs: z.array(diffSchema),
  }),
  z.object({
    kind: z.literal('plan'),
    entries: z.array(z.object({ content: z.string(), status: z.enum(['pending', 'in_progress', 'completed']) })),
  }),
  /** Steps while a machine is made or woken, with what each took. */
  z.object({ kind: z.literal('progress'), label: z.string(), ms: z.number().nullable(), detail: z.string().nullable() }),
  z.object({ kind: z.literal('turn_ended'), messageId: z.string(), stopReason: z.string() }),
  z.object({
    kind: z.literal('suspended'),
    releasedMs: z.number(),
    processGone: z.boolean(),
    /** Null when the machine did not say what ran in it. */
    processes: z.number().int().nullable(),
    storedBytes: z.number(),
  }),
  z.object({
    kind: z.literal('woke'),
    cause: z.enum(['check_failed', 'review_comment', 'message', 'click']),
    latencyMs: z.number(),
    sameBootId: z.boolean(),
    sameAgentProcess: z.boolean(),
  }),
  z.object({
    kind: z.literal('pushed'),
    changeId: z.string(),
    number: z.number().int(),
    commitSha: z.string(),
    subject: z.string(),
  }),
  z.object({ kind: z.literal('check'), checkId: z.string(), name: z.string(), state: z.enum(['passed', 'failed', 'errored']) }),
  z.object({ kind: z.literal('merged'), changeId: z.string(), number: z.number().int(), byName: z.string() }),
  /** Something went wrong: cause and next step, for the person looking. */
  z.object({ kind: z.literal('error'), title: z.string(), detail: z.string(), nextStep: z.string().nullable() }),
]);

export type TimelineEvent = z.infer<typeof timelineEventSchema>;

export type TimelineRow = { seq: number; rev: number; at: string; event: TimelineEvent };
