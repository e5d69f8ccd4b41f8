import { TRPCClientError } from '@trpc/client';
import { failingSample, TASK } from '../demo/installation.ts';
import { type Case, eventually, looksAt } from './case.ts';

/** A name that the scripted model's first repair puts on the line it changes, and the one it is asked to give it. */
const RENAME = { from: 'rest', to: 'centsLeft' };

/** A reviewer's comment makes the session change the very line it is on. */
export const OUTDATED_THREAD: Case = {
  run: async (place) => {
    const { api, org } = place;
    const repo = await failingSample(api, org);
    const { sessionId } = await api.sessions.create.mutate({ org, repo, prompt: TASK });
    const { view } = looksAt(place, sessionId);
    const { number } = await eventually('the change', async () => (await view()).change);
    const target = { org, repo, number };
    // Before, the scripted model finds that the types are wrong and publishes nothing else.
    await eventually('passing checks', async () => {
      const { change, checks } = await api.changes.get.query(target);
      const ofHead = checks.filter(({ commitSha }) => commitSha === change.headSha);
      return ofHead.length > 0 && ofHead.every(({ state }) => state === 'passed');
    });
    const diff = await api.changes.diff.query(target);
    const places = diff.files.flatMap(({ path, hunks }) =>
      hunks.flatMap(({ lines }) =>
        lines.flatMap(({ kind, newLine, text }) =>
          kind === 'add' && newLine !== null && text.includes(RENAME.from) ? [{ path, line: newLine, text }] : [],
        ),
      ),
    );
    const [at] = places;
    if (!at) throw new Error(`the change has no added line with ${RENAME.from}`);
    const { text, ...on } = at;
    const old = { ...target, ...on, commitSha: diff.headSha };
    const { threadId } = await api.changes.comment.mutate({ ...old, body: `Please rename ${RENAME.from} to ${RENAME.to}.` });
    const find = async () => (await api.changes.get.query(target)).threads.find(({ id }) => id === threadId);

    const outdated = await eventually('the thread to be outdated and answered', async () => {
      const thread = await find();
      return thread?.outdated && thread.comments.some(({ byAgent }) => byAgent) && thread;
    });
    const inPlace = outdated.path === on.path && outdated.line === on.line && outdated.lineText === text;
    const replied = await api.changes.reply.mutate({ org, threadId, body: 'Thank you. Is the old name gone?' });
    await api.changes.resolve.mutate({ org, threadId, resolved: true });
    const resolved = await find();
    const late = await api.changes.comment.mutate({ ...old, body: 'Why this?' });
    const refused = await api.changes.comment.mutate({ ...old, line: 9999, body: 'And this?' }).then(
      () => null,
      (error: unknown) => (error instanceof TRPCClientError ? error.message : String(error)),
    );
    const answered = await eventually('an answer on the outdated thread', async () => {
      const thread = await find();
      return (thread?.comments.filter(({ byAgent }) => byAgent).length ?? 0) > 1 && thread;
    });
    await api.sessions.stop.mutate({ org, sessionId });
    return {
      ok:
        inPlace &&
        replied.delivered &&
        replied.outdated &&
        resolved?.resolvedAt != null &&
        late.outdated &&
        (refused?.includes('no such line') ?? false),
      at: `${outdated.path}:${outdated.line} ${outdated.lineText.trim()}`,
      inPlace,
      replied,
      resolved: resolved?.resolvedAt != null,
      late: { delivered: late.delivered, outdated: late.outdated },
      refused,
      comments: answered.comments.length,
    };
  },
};
