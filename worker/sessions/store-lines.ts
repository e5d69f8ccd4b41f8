import type { Prisma } from '../../prisma/generated/client.ts';
import type { Tx } from '../../server/db.ts';
import { writeTimeline } from '../../server/sessions/append-event.ts';
import type { Line } from '../acp/frame-splitter.ts';
import { type AgentFrame, answerFrame, type ClientFrame, parseLine, type RpcError } from '../acp/frames.ts';
import { mapUpdate, type TimelinePut } from '../acp/map-update.ts';
import { agentText } from '../acp/tool-content.ts';
import { type Driver, inOrg, SupersededError } from './driver.ts';
import type { Turn } from './turn.ts';

export type AgentReply = { ok: true; result: unknown } | { ok: false; error: RpcError };

/** Where in the agent's stdout a machine's reader is. Moves only after the rows are committed. */
export type Reader = { machineId: string; offset: number; turn: Turn | null; awaited: number };

export type StoredLines = { reply: AgentReply | null; answers: { key: string; frame: ClientFrame }[] };

const SHOWN_LINE_CHARS_MAX = 500;

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
  const batch = readLines(driver, reader, lines);
  const endOffset = lines.at(-1)!.endOffset;
  const { orgId, sessionId } = driver.ref;
  const now = driver.deps.clock.now();
  const seqs = await inOrg(driver, async (tx) => {
    const { count } = await tx.session.updateMany({
      where: { id: sessionId, machineId: reader.machineId, agentOffset: BigInt(reader.offset) },
      data: { agentOffset: BigInt(endOffset), activeAt: now },
    });
    if (count === 0) throw new SupersededError(`another worker reads the agent of ${sessionId}`);
    const base = { orgId, sessionId, machineId: reader.machineId, at: now };
    await tx.agentFrame.createMany({
      data: [
        ...batch.frames.map(({ endOffset: offset, raw }) => ({
          ...base,
          direction: 'agent',
          offset: BigInt(offset),
          frame: raw,
        })),
        ...batch.answers.map(({ offset, frame }) => ({
          ...base,
          direction: 'client',
          offset: BigInt(offset),
          frame: frame as Prisma.InputJsonObject,
        })),
      ],
    });
    const written = await putTimeline(tx, driver, reader.turn?.seqs ?? new Map(), batch.puts);
    if (batch.reply) await onReply(tx, batch.reply);
    return written;
  });
  reader.offset = endOffset;
  if (reader.turn) reader.turn = { ...reader.turn, view: batch.view ?? reader.turn.view, seqs };
  return { reply: batch.reply, answers: batch.answers.map(({ offset, frame }) => ({ key: answerKey(offset), frame })) };
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

/** What the lines say, without effect. */
function readLines(driver: Driver, reader: Reader, lines: Line[]) {
  let view = reader.turn?.view;
  let reply: AgentReply | null = null;
  const puts: TimelinePut[] = [];
  const frames: { endOffset: number; raw: Prisma.InputJsonValue }[] = [];
  const answers: { offset: number; frame: ClientFrame }[] = [];
  for (const line of lines) {
    const parsed = line.kind === 'line' ? parseLine(line.text) : null;
    if (!parsed?.ok) {
      const refused = refusedLine(line, parsed?.reason);
      frames.push({ endOffset: line.endOffset, raw: refused.raw });
      puts.push(refused.put);
      continue;
    }
    const { frame } = parsed;
    frames.push({ endOffset: line.endOffset, raw: parsed.raw as Prisma.InputJsonValue });
    if (frame.kind === 'request') answers.push({ offset: -line.endOffset, frame: answerFrame(frame) });
    else if (frame.kind !== 'notification') {
      if (frame.id === reader.awaited) reply = toReply(frame);
    } else if (view && frame.method === 'session/update' && !isNoise(driver, frame.params)) {
      const step = mapUpdate(view, frame.params);
      view = step.view;
      puts.push(...step.puts);
    }
  }
  return { view, reply, puts, frames, answers };
}

function toReply(frame: Extract<AgentFrame, { kind: 'result' | 'error' }>): AgentReply {
  return frame.kind === 'result' ? { ok: true, result: frame.result } : { ok: false, error: frame.error };
}

function isNoise({ deps }: Driver, params: unknown): boolean {
  const text = deps.agent.noise && agentText(params);
  return text ? (deps.agent.noise?.test(text) ?? false) : false;
}

/** A line that is no frame: kept as far as it can be shown, told to the person, and the turn goes on. */
function refusedLine(line: Line, reason = 'too long') {
  const text = line.kind === 'line' ? line.text.slice(0, SHOWN_LINE_CHARS_MAX).toWellFormed().replaceAll('\0', '\uFFFD') : '';
  const detail =
    line.kind === 'line' ? `${reason}: ${text}` : `one message of ${line.bytes} bytes, more than the protocol allows`;
  const event = { kind: 'error' as const, title: 'The agent wrote something that is not a message', detail, nextStep: null };
  // One row, whatever the agent goes on writing: a program that logs to stdout must not fill the timeline.
  const put: TimelinePut = { key: 'refused', event };
  return { put, raw: { warrenRefused: reason, text } };
}
