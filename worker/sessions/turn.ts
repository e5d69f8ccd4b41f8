import type { Message, SessionEvent } from '../../prisma/generated/client.ts';
import type { Tx } from '../../server/db.ts';
import { type TimelineEvent, timelineEventSchema } from '../../server/sessions/timeline.ts';
import { EMPTY_TURN, restoreTurn, type TurnView } from '../acp/map-update.ts';
import { OVER_TITLE } from '../acp/read-lines.ts';
import { NOTHING_SPENT, type Spent, TURN_MAX } from '../acp/turn-budget.ts';

/** A turn in progress: which message, which request, what it has spent, and which timeline row each of its blocks is. */
export type Turn = { message: Message; rpcId: number; view: TurnView; spent: Spent; seqs: Map<string, number> };

export type TurnRow = { seq: number; event: TimelineEvent };

/** Timeline rows of the turn that is open now: everything after the last one that ended. */
export async function turnRows(tx: Tx, sessionId: string): Promise<TurnRow[]> {
  const ended = await tx.sessionEvent.findFirst({
    where: { sessionId, kind: 'turn_ended' },
    orderBy: { seq: 'desc' },
    select: { seq: true },
  });
  const rows = await tx.sessionEvent.findMany({ where: { sessionId, seq: { gt: ended?.seq ?? 0 } }, orderBy: { seq: 'asc' } });
  return rows.map((row) => ({ seq: row.seq, event: parseRow(row) }));
}

function parseRow(row: SessionEvent): TimelineEvent {
  return timelineEventSchema.parse(row.data);
}

export function beginTurn(message: Message, rpcId: number): Turn {
  return { message, rpcId, view: EMPTY_TURN, spent: NOTHING_SPENT, seqs: new Map() };
}

/** The open turn as another worker left it. */
export async function resumeTurn(tx: Tx, message: Message): Promise<Turn> {
  if (message.rpcId === null) throw new Error(`message ${message.id} is delivered without a request id`);
  const rows = await turnRows(tx, message.sessionId);
  const spent = await spentSince(tx, message, rows);
  return { message, rpcId: message.rpcId, spent, ...restoreTurn(rows) };
}

/** What the turn has spent, by what is stored: a worker that takes over gives it no new budget. */
async function spentSince(tx: Tx, { sessionId, agentOffset }: Message, rows: TurnRow[]): Promise<Spent> {
  const session = await tx.session.findUniqueOrThrow({
    where: { id: sessionId },
    select: { machineId: true, agentOffset: true },
  });
  const from = agentOffset ?? session.agentOffset;
  const frames = await tx.agentFrame.count({
    where: { sessionId, machineId: session.machineId ?? '', direction: 'agent', offset: { gt: from } },
  });
  // A machine started from its disk may have a shorter file than the one it was delivered to.
  const bytes = Math.max(0, Number(session.agentOffset - from));
  const told = rows.some(({ event }) => event.kind === 'error' && event.title === OVER_TITLE);
  // Rows of others (pushes, checks) are among them; only one of the turn's own may take it over, and then it is told.
  return { bytes, frames, rows: told ? rows.length : Math.min(rows.length, TURN_MAX.rows) };
}
