import type { Prisma } from '../../prisma/generated/client.ts';
import type { Tx } from '../db.ts';
import { publishNotice } from '../realtime/publish.ts';
import { type TimelineEvent, timelineEventSchema } from './timeline.ts';

export type SessionRef = { orgId: string; sessionId: string };

/** A new row, or one already written (by its seq) with new content. */
export type TimelineWrite = { seq?: number; event: TimelineEvent };

/**
 * Writes timeline rows in order. The session's row lock makes `seq` gapless and `rev` strictly growing per session, so a
 * reader that asks for everything past its revision misses nothing.
 *
 * @returns seq and rev of each write, in the order given
 * @throws when the session does not exist in this organization, or a seq to update does not
 */
export async function writeTimeline(
  tx: Tx,
  { orgId, sessionId }: SessionRef,
  writes: TimelineWrite[],
): Promise<{ seq: number; rev: number }[]> {
  await lockSession(tx, sessionId);
  let { seq, rev } = await lastOf(tx, sessionId);
  const added: Prisma.SessionEventCreateManyInput[] = [];
  const written: { seq: number; rev: number }[] = [];
  for (const write of writes) {
    const data = timelineEventSchema.parse(write.event);
    rev += 1;
    if (write.seq === undefined) {
      seq += 1;
      added.push({ orgId, sessionId, seq, rev, kind: data.kind, data });
    } else {
      await tx.sessionEvent.update({
        where: { sessionId_seq: { sessionId, seq: write.seq } },
        data: { rev, kind: data.kind, data },
      });
    }
    written.push({ seq: write.seq ?? seq, rev });
  }
  await tx.sessionEvent.createMany({ data: added });
  publishNotice(tx, { kind: 'session', orgId, sessionId, rev });
  return written;
}

/** Each by its own index, whose last entry is read; the two together as `max` would read the session's whole timeline. */
async function lastOf(tx: Tx, sessionId: string): Promise<{ seq: number; rev: number }> {
  const where = { sessionId };
  const bySeq = await tx.sessionEvent.findFirst({ where, orderBy: { seq: 'desc' }, select: { seq: true } });
  const byRev = await tx.sessionEvent.findFirst({ where, orderBy: { rev: 'desc' }, select: { rev: true } });
  return { seq: bySeq?.seq ?? 0, rev: byRev?.rev ?? 0 };
}

/** Appends one row. See writeTimeline. */
export async function appendEvent(tx: Tx, ref: SessionRef, event: TimelineEvent): Promise<{ seq: number; rev: number }> {
  const [row] = await writeTimeline(tx, ref, [{ event }]);
  return row!;
}

/** Replaces the content of a row while it streams: same seq, higher rev. */
export async function updateEvent(tx: Tx, ref: SessionRef, seq: number, event: TimelineEvent): Promise<void> {
  await writeTimeline(tx, ref, [{ seq, event }]);
}

/**
 * Holds the session's row until the transaction ends: what is read about it afterwards stays true until then.
 *
 * @throws when the session does not exist in this organization
 */
export async function lockSession(tx: Tx, sessionId: string): Promise<void> {
  const rows = await tx.$queryRaw<unknown[]>`select 1 from "Session" where id = ${sessionId} for no key update`;
  if (rows.length === 0) throw new Error(`session ${sessionId} does not exist in this organization`);
}
