import type { Change, ReviewThread } from '../../prisma/generated/client.ts';
import { recordAudit } from '../audit/record.ts';
import { type Db, type Tx, withOrg } from '../db.ts';
import { AppError, notFound } from '../errors.ts';
import { tryGit } from '../forge/git.ts';
import { repositoryDir } from '../forge/layout.ts';
import { recordRepoEvent } from '../forge/record-repo-event.ts';
import { isObjectName } from '../forge/refs.ts';
import { newId } from '../ids.ts';
import { publishNotice } from '../realtime/publish.ts';
import { readFileAt } from '../repositories/bare-repository.ts';
import { queueMessage } from '../sessions/queue-message.ts';
import { createLineMapper, type Place } from './map-line.ts';
import { requireOpenChange } from './require-change.ts';
import { reviewMessage } from './review-message.ts';

export type CommentDeps = { db: Db; forgeDir: string };
export type Author = { userId: string; name: string };
export type CommentInput = {
  orgId: string;
  repositoryId: string;
  number: number;
  path: string;
  /** 1-based, on the new side at `commitSha`. */
  line: number;
  /** The commit the reader was looking at; an older one of the change is fine. */
  commitSha: string;
  body: string;
  author: Author;
};
export type CommentResult = {
  threadId: string;
  commentId: string;
  /** False when the session has ended: the comment is kept, nobody will act on it. */
  delivered: boolean;
  /** The line has been changed by a newer commit. */
  outdated: boolean;
};

const AROUND_LINES = 4;
const LINE_CHARS_MAX = 2_000;

/**
 * Starts a thread on a line and wakes the session with it, in one transaction. A comment on a line that a newer commit
 * has changed is accepted and marked: what the reader saw is stored with it.
 *
 * @throws not_found; conflict when the change is closed; bad_request when there is no such line at that commit
 */
export async function comment({ db, forgeDir }: CommentDeps, input: CommentInput): Promise<CommentResult> {
  const change = await withOrg(db, input.orgId, (tx) => requireOpenChange(tx, input));
  const gitDir = repositoryDir(forgeDir, input.orgId, input.repositoryId);
  const seen = await readLine(gitDir, change, input);
  const now = await createLineMapper(gitDir, change.headSha)(input);
  return withOrg(db, input.orgId, async (tx) => {
    await requireOpenChange(tx, input);
    const thread = await tx.reviewThread.create({
      data: {
        id: newId('thread'),
        orgId: input.orgId,
        changeId: change.id,
        path: input.path,
        line: input.line,
        commitSha: input.commitSha,
        lineText: seen.lineText,
      },
    });
    const delivered = await addComment(tx, { change, thread, body: input.body, author: input.author, around: seen.around, now });
    return { threadId: thread.id, ...delivered, outdated: now === null };
  });
}

export type ReplyInput = { orgId: string; threadId: string; body: string; author: Author };

/** Adds to a thread; the session is woken as by a new comment. @throws not_found; conflict when the change is closed */
export async function reply({ db, forgeDir }: CommentDeps, input: ReplyInput): Promise<CommentResult> {
  const { change, thread } = await withOrg(db, input.orgId, (tx) => requireThread(tx, input.threadId));
  const gitDir = repositoryDir(forgeDir, input.orgId, change.repositoryId);
  const { around } = await readLine(gitDir, change, thread);
  const now = await createLineMapper(gitDir, change.headSha)(thread);
  return withOrg(db, input.orgId, async (tx) => {
    await requireOpenChange(tx, change);
    const delivered = await addComment(tx, { change, thread, body: input.body, author: input.author, around, now });
    return { threadId: thread.id, ...delivered, outdated: now === null };
  });
}

/** Marks a thread as dealt with, or not. The agent is not told. @throws not_found */
export async function resolveThread(tx: Tx, input: { threadId: string; resolved: boolean; now: Date }): Promise<void> {
  const { change } = await requireThread(tx, input.threadId);
  await tx.reviewThread.update({ where: { id: input.threadId }, data: { resolvedAt: input.resolved ? input.now : null } });
  publishNotice(tx, { kind: 'change', orgId: change.orgId, changeId: change.id, sessionId: change.sessionId });
}

async function requireThread(tx: Tx, threadId: string): Promise<{ change: Change; thread: ReviewThread }> {
  const thread = await tx.reviewThread.findUnique({ where: { id: threadId } });
  const change = thread && (await tx.change.findUnique({ where: { id: thread.changeId } }));
  if (!thread || !change) throw notFound('thread');
  return { change, thread };
}

async function readLine(
  gitDir: string,
  change: Change,
  at: Place & { commitSha: string },
): Promise<{ lineText: string; around: string }> {
  const noSuchLine = new AppError('bad_request', {
    publicMessage: 'There is no such line at that commit. Reload the diff and comment again.',
  });
  if (!isObjectName(at.commitSha)) throw noSuchLine;
  // Only commits of the change itself: others may exist in the repository without being anyone's to see.
  const { exitCode } = await tryGit(['merge-base', '--is-ancestor', '--end-of-options', at.commitSha, change.headSha], {
    gitDir,
  });
  const file = exitCode === 0 ? await readFileAt(gitDir, at.commitSha, at.path) : null;
  // The newline at the end of a file ends its last line; it does not begin another.
  const lines = file?.text.replace(/\n$/, '').split('\n') ?? [];
  const lineText = lines[at.line - 1];
  if (!file || file.binary || lineText === undefined) throw noSuchLine;
  const from = Math.max(0, at.line - 1 - AROUND_LINES);
  const around = lines
    .slice(from, at.line + AROUND_LINES)
    .map((line, index) => `${from + index + 1}: ${line.slice(0, LINE_CHARS_MAX)}`);
  return { lineText: storable(lineText.slice(0, LINE_CHARS_MAX)), around: storable(around.join('\n')) };
}

type NewComment = { change: Change; thread: ReviewThread; body: string; author: Author; around: string; now: Place | null };

async function addComment(tx: Tx, { change, thread, body, author, around, now }: NewComment) {
  const { orgId } = change;
  const earlier = await tx.reviewComment.findMany({ where: { threadId: thread.id }, orderBy: { createdAt: 'asc' }, take: 50 });
  const commentId = newId('comment');
  await tx.reviewComment.create({ data: { id: commentId, orgId, threadId: thread.id, authorId: author.userId, body } });
  const repoEventId = await recordRepoEvent(tx, change, {
    kind: 'review_comment',
    commitSha: thread.commitSha,
    deliveryId: `comment:${commentId}`,
    payload: { threadId: thread.id, path: thread.path, line: thread.line },
  });
  await recordAudit(tx, {
    orgId,
    actor: author.userId,
    action: 'change.comment',
    target: change.id,
    details: { threadId: thread.id },
  });
  publishNotice(tx, { kind: 'change', orgId, changeId: change.id, sessionId: change.sessionId });
  if (!change.sessionId) return { commentId, delivered: false };
  const { path, line, lineText } = thread;
  const said = earlier.map((one) => ({ authorName: one.authorId ? 'Reviewer' : 'You', body: one.body }));
  const queued = await queueMessage(
    tx,
    { orgId, sessionId: change.sessionId },
    {
      kind: 'review_comment',
      text: reviewMessage({ authorName: author.name, body, path, line, lineText, around, now, earlier: said }),
      actor: { kind: 'event', repoEventId },
      author: { id: author.userId, name: author.name },
      sourceId: commentId,
      repoEventId,
    },
  );
  return { commentId, delivered: queued.ok };
}

function storable(text: string): string {
  return text.toWellFormed().replaceAll('\0', '\uFFFD').replaceAll('\r', '');
}
