import type { Organization, Session } from '../../prisma/generated/client.ts';
import { recordAudit } from '../audit/record.ts';
import type { Tx } from '../db.ts';
import { AppError } from '../errors.ts';
import { sessionBranch } from '../forge/refs.ts';
import { newId } from '../ids.ts';
import { decide, type PolicyActor, parseOrgPolicy } from '../policy/policy.ts';
import { appendEvent } from './append-event.ts';
import { countConcurrentSessions } from './concurrency.ts';
import { transition } from './transition.ts';

export type NewSession = {
  org: Organization;
  actor: PolicyActor & { name: string };
  repositoryId: string;
  /** Commit of the default branch the session starts from. */
  baseSha: string;
  prompt: string;
  title?: string;
  model: { name: string; scripted: boolean };
  agentName: string;
};

const TITLE_CHARS_MAX = 80;

/** The first line of the prompt, cut at a word. */
export function titleOf(prompt: string): string {
  const line = prompt.trim().split('\n', 1)[0]!.replace(/\s+/g, ' ');
  if (line.length <= TITLE_CHARS_MAX) return line;
  const cut = line.slice(0, TITLE_CHARS_MAX);
  return `${cut.slice(0, cut.lastIndexOf(' ') > 20 ? cut.lastIndexOf(' ') : TITLE_CHARS_MAX)}…`;
}

/**
 * A task becomes a session: the row, its first message, its timeline and the job that provisions it, in the caller's
 * transaction.
 *
 * @throws policy_denied with the rule that says no
 */
export async function createSession(tx: Tx, input: NewSession): Promise<Session> {
  const { org, actor, prompt, model } = input;
  const decision = decide(actor, parseOrgPolicy(org.policy), {
    action: 'session.create',
    context: {
      modelName: model.name,
      promptBytes: Buffer.byteLength(prompt),
      concurrentSessions: await countConcurrentSessions(tx, org.id),
    },
  });
  if (!decision.allow) throw new AppError('policy_denied', { publicMessage: decision.reason });

  const sessionId = newId('session');
  const ref = { orgId: org.id, sessionId };
  const session = await tx.session.create({
    data: {
      id: sessionId,
      orgId: org.id,
      repositoryId: input.repositoryId,
      createdById: actor.userId,
      title: input.title?.trim() || titleOf(prompt),
      state: 'created',
      branch: sessionBranch(sessionId),
      baseSha: input.baseSha,
      agentName: input.agentName,
      modelName: model.name,
      scripted: model.scripted,
    },
  });
  const messageId = newId('message');
  await tx.message.create({
    data: { id: messageId, orgId: org.id, sessionId, kind: 'task', text: prompt, authorId: actor.userId },
  });
  await recordAudit(tx, { orgId: org.id, actor: actor.userId, action: 'session.created', target: sessionId });
  await appendEvent(tx, ref, { kind: 'message', messageId, messageKind: 'task', text: prompt, authorName: actor.name });
  const moved = await transition(tx, ref, {
    expected: session,
    to: 'provisioning',
    reason: 'created',
    actor: { kind: 'user', userId: actor.userId },
    drive: true,
  });
  if (!moved.ok) throw new Error(`a session just created could not move: ${moved.reason}`);
  return moved.session;
}
