import type { Message, SessionEvent } from '../../prisma/generated/client.ts';
import type { Tx } from '../../server/db.ts';
import { type TimelineEvent, timelineEventSchema } from '../../server/sessions/timeline.ts';
import { EMPTY_TURN, restoreTurn, type TurnView } from '../acp/map-update.ts';

/** A turn in progress: which message, which request, and which timeline row each of its blocks is. */
export type Turn = { message: Message; rpcId: number; view: TurnView; seqs: Map<string, number> };

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
  return { message, rpcId, view: EMPTY_TURN, seqs: new Map() };
}

/** The open turn as another worker left it. */
export async function resumeTurn(tx: Tx, message: Message): Promise<Turn> {
  if (message.rpcId === null) throw new Error(`message ${message.id} is delivered without a request id`);
  return { message, rpcId: message.rpcId, ...restoreTurn(await turnRows(tx, message.sessionId)) };
}
