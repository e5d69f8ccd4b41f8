import type { Message, Session } from '../../prisma/generated/client.ts';
import type { Tx } from '../../server/db.ts';
import { newId } from '../../server/ids.ts';
import { publishNotice } from '../../server/realtime/publish.ts';

/** The agent's answer to a review comment, on the comment's thread. */
export async function postReviewReply(tx: Tx, session: Session, message: Message, body: string): Promise<void> {
  const comment = message.sourceId ? await tx.reviewComment.findUnique({ where: { id: message.sourceId } }) : null;
  const thread = comment && (await tx.reviewThread.findUnique({ where: { id: comment.threadId } }));
  if (!thread) return;
  await tx.reviewComment.create({
    data: { id: newId('comment'), orgId: session.orgId, threadId: thread.id, sessionId: session.id, body },
  });
  publishNotice(tx, { kind: 'change', orgId: session.orgId, changeId: thread.changeId, sessionId: session.id });
}
