import type { MessageKind } from '../../prisma/generated/client.ts';
import type { Tx } from '../db.ts';
import { newId } from '../ids.ts';
import { appendEvent, lockSession, type SessionRef } from './append-event.ts';
import { acceptsInput } from './states.ts';
import type { Actor } from './transition.ts';
import { type WakeResult, wakeSession } from './wake-session.ts';

export type MessageInput = {
  kind: Exclude<MessageKind, 'task'>;
  /** What the agent is told. */
  text: string;
  actor: Actor;
  /** The person it comes from; null for a check. */
  author: { id: string; name: string } | null;
  /** Review comment or check it is about. */
  sourceId?: string;
  repoEventId?: string;
};

export type QueueMessageResult = { ok: true; messageId: string; wake: WakeResult } | { ok: false; reason: 'ended' };

/** Queues something for the agent, shows it in the timeline and wakes the session when it sleeps: one transaction. */
export async function queueMessage(tx: Tx, ref: SessionRef, input: MessageInput): Promise<QueueMessageResult> {
  await lockSession(tx, ref.sessionId);
  const { state } = await tx.session.findUniqueOrThrow({ where: { id: ref.sessionId }, select: { state: true } });
  if (!acceptsInput(state)) return { ok: false, reason: 'ended' };

  const messageId = newId('message');
  await tx.message.create({
    data: {
      id: messageId,
      orgId: ref.orgId,
      sessionId: ref.sessionId,
      kind: input.kind,
      text: input.text,
      authorId: input.author?.id,
      sourceId: input.sourceId,
    },
  });
  await appendEvent(tx, ref, {
    kind: 'message',
    messageId,
    messageKind: input.kind,
    text: input.text,
    authorName: input.author?.name ?? null,
  });
  const wake = await wakeSession(tx, ref, {
    cause: input.kind,
    actor: input.actor,
    messageId,
    repoEventId: input.repoEventId,
  });
  return { ok: true, messageId, wake };
}
