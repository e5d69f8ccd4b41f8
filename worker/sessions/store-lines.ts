import type { Prisma, Session } from '../../prisma/generated/client.ts';
import type { Tx } from '../../server/db.ts';
import { writeTimeline } from '../../server/sessions/append-event.ts';
import type { Line } from '../acp/frame-splitter.ts';
import type { ClientFrame } from '../acp/frames.ts';
import type { TimelinePut } from '../acp/map-update.ts';
import { type AgentReply, readLines } from '../acp/read-lines.ts';
import { NOTHING_SPENT, type Spent } from '../acp/turn-budget.ts';
import { type Driver, inOrg, SupersededError } from './driver.ts';
import type { Turn } from './turn.ts';

export type { AgentReply } from '../acp/read-lines.ts';

/** Where in the agent's stdout a machine's reader is. Moves only after the rows are committed. */
export type Reader = {
  machineId: string;
  offset: number;
  turn: Turn | null;
  awaited: number;
  spent: Spent;
  /** Which timeline row each block is. */
  seqs: Map<string, number>;
};

/** A reader of the session's machine that waits for one answer: of a turn, or of a question outside one. */
export function readerOf(session: Pick<Session, 'machineId' | 'agentOffset'>, awaited: number, turn: Turn | null): Reader {
  const { spent, seqs } = turn ?? { spent: NOTHING_SPENT, seqs: new Map<string, number>() };
  return { machineId: session.machineId!, offset: Number(session.agentOffset), turn, awaited, spent, seqs };
}

export type StoredLines = { reply: AgentReply | null; answers: { key: string; frame: ClientFrame }[] };

/**
 * Stores agent lines and everything they mean in one transaction: raw frames, timeline rows, the reader's offset, and,
 * by `onReply`, what the awaited reply settles. The offset is moved by compare-and-set, so of two workers reading the
 * same stream one stores and the other learns that it was superseded: each line has its effect exactly once.
 */
export async function storeLines(
  driver: Driver,
  reader: Reader,
  lines: Line[],
  onReply: (tx: Tx, reply: AgentReply) => Promise<void>,
): Promise<StoredLines> {
  const { offset, spent, awaited, turn, seqs: known } = reader;
  const { noise } = driver.deps.agent;
  const batch = readLines({ offset, spent, awaited, keys: new Set(known.keys()), view: turn?.view ?? null, noise }, lines);
  const endOffset = lines.at(-1)!.endOffset;
  const { orgId, sessionId } = driver.ref;
  const now = driver.deps.clock.now();
  const seqs = await inOrg(driver, async (tx) => {
    const { count } = await tx.session.updateMany({
      where: { id: sessionId, machineId: reader.machineId, agentOffset: BigInt(offset) },
      data: { agentOffset: BigInt(endOffset), activeAt: now },
    });
    if (count === 0) throw new SupersededError(`another worker reads the agent of ${sessionId}`);
    const base = { orgId, sessionId, machineId: reader.machineId, at: now };
    await tx.agentFrame.createMany({
      data: [
        ...batch.frames.map((frame) => ({
          ...base,
          direction: 'agent',
          offset: BigInt(frame.endOffset),
          frame: frame.raw as Prisma.InputJsonValue,
        })),
        ...batch.answers
          .filter(({ kept }) => kept)
          .map((answer) => ({
            ...base,
            direction: 'client',
            offset: BigInt(answer.offset),
            frame: answer.frame as Prisma.InputJsonObject,
          })),
      ],
    });
    const written = await putTimeline(tx, driver, known, batch.puts);
    if (batch.reply) await onReply(tx, batch.reply);
    return written;
  });
  reader.offset = endOffset;
  reader.spent = batch.spent;
  reader.seqs = seqs;
  if (turn && batch.view) reader.turn = { ...turn, view: batch.view };
  return { reply: batch.reply, answers: batch.answers.map((answer) => ({ key: answerKey(answer.offset), frame: answer.frame })) };
}

/** Answers to the agent's own requests are keyed by where the request ended, below zero so that they never meet request ids. */
export const answerKey = (offset: number) => `a${offset}`;

async function putTimeline(tx: Tx, driver: Driver, known: Map<string, number>, puts: TimelinePut[]) {
  // Streaming rewrites a row with every chunk; of one batch only the last form counts, in the order rows first appeared.
  const latest = new Map(puts.map(({ key, event }) => [key, event]));
  const writes = [...latest].map(([key, event]) => ({ seq: known.get(key), event }));
  const written = writes.length > 0 ? await writeTimeline(tx, driver.ref, writes) : [];
  const seqs = new Map(known);
  for (const [index, key] of [...latest.keys()].entries()) seqs.set(key, written[index]!.seq);
  return seqs;
}
