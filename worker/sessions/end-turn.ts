import type { Message, Session } from '../../prisma/generated/client.ts';
import type { Tx } from '../../server/db.ts';
import { publishNotice } from '../../server/realtime/publish.ts';
import { type TimelineWrite, writeTimeline } from '../../server/sessions/append-event.ts';
import type { TimelineEvent } from '../../server/sessions/timeline.ts';
import { promptResultSchema, type RpcError } from '../acp/frames.ts';
import { replyText } from '../acp/map-update.ts';
import { postReviewReply } from './post-review-reply.ts';
import type { AgentReply } from './store-lines.ts';
import { type TurnRow, turnRows } from './turn.ts';

/** Stop reasons of ours, beside the protocol's: why a turn ended that the agent did not end. */
export const STOP_FAILED = 'failed';

/** The agent answered its prompt: the message is done, or failed with the agent's own words. */
export async function settleReply(tx: Tx, session: Session, message: Message, reply: AgentReply, now: Date): Promise<void> {
  if (!reply.ok) return failTurn(tx, session, message, agentRefusal(reply.error), now);
  const { stopReason } = promptResultSchema.catch({ stopReason: 'end_turn' }).parse(reply.result);
  const rows = await turnRows(tx, session.id);
  const said = replyText(rows.map(({ event }) => event));
  await tx.message.update({ where: { id: message.id }, data: { state: 'done', stopReason, reply: said, doneAt: now } });
  await writeTimeline(tx, { orgId: session.orgId, sessionId: session.id }, [
    ...unfinishedTools(rows),
    { event: { kind: 'turn_ended', messageId: message.id, stopReason } },
  ]);
  if (message.kind === 'review_comment' && said) await postReviewReply(tx, session, message, said);
  noticeOf(tx, session);
}

/** The turn is over and the message was not answered. What was said until then stays. */
export async function failTurn(
  tx: Tx,
  session: Session,
  message: Message,
  error: Extract<TimelineEvent, { kind: 'error' }>,
  now: Date,
): Promise<void> {
  // Another driver may have seen it end well.
  const { count } = await tx.message.updateMany({
    where: { id: message.id, state: { in: ['queued', 'delivered'] } },
    data: { state: 'failed', stopReason: STOP_FAILED, doneAt: now },
  });
  if (count === 0) return;
  // What it woke the session for never comes; left pending, it would keep the session from falling asleep.
  await tx.wake.updateMany({
    where: { sessionId: session.id, messageId: message.id, outcome: 'pending' },
    data: { outcome: 'failed', detail: error.title },
  });
  await writeTimeline(tx, { orgId: session.orgId, sessionId: session.id }, [
    ...unfinishedTools(await turnRows(tx, session.id)),
    { event: error },
    { event: { kind: 'turn_ended', messageId: message.id, stopReason: STOP_FAILED } },
  ]);
  noticeOf(tx, session);
}

/** The same for the session's open turn, if it has one: the machine it ran in is gone. False when none was open. */
export async function failOpenTurn(
  tx: Tx,
  session: Session,
  error: Extract<TimelineEvent, { kind: 'error' }>,
  now: Date,
): Promise<boolean> {
  const open = await tx.message.findFirst({ where: { sessionId: session.id, state: 'delivered' } });
  if (open) await failTurn(tx, session, open, error, now);
  return open !== null;
}

/** Nothing runs on after its turn: a tool call whose end was never told did not end well. */
function unfinishedTools(rows: TurnRow[]): TimelineWrite[] {
  return rows.flatMap(({ seq, event }) => {
    const open = event.kind === 'tool_call' && (event.status === 'pending' || event.status === 'in_progress');
    return open ? [{ seq, event: { ...event, status: 'failed' as const } }] : [];
  });
}

function noticeOf(tx: Tx, { orgId, id }: Session) {
  publishNotice(tx, { kind: 'session', orgId, sessionId: id });
}

function agentRefusal(error: RpcError): Extract<TimelineEvent, { kind: 'error' }> {
  const data = error.data as { message?: unknown } | string | null | undefined;
  const more = typeof data === 'string' ? data : typeof data?.message === 'string' ? data.message : '';
  return {
    kind: 'error',
    title: 'The agent gave up on this turn',
    detail: [error.message, more].filter(Boolean).join(': ').slice(0, 4000).toWellFormed(),
    nextStep: 'If the model endpoint was the cause, it is named above. Send a message to try again; the machine is as it was.',
  };
}
