import type { Change, Check, Repository, ReviewThread } from '../../prisma/generated/client.ts';
import { listHeadChecks } from '../checks/list-head-checks.ts';
import type { Tx } from '../db.ts';
import { GitError } from '../forge/git.ts';
import { findCommit } from '../repositories/bare-repository.ts';
import { computeStatus } from '../sessions/status.ts';
import { expectedChecks } from './expected-checks.ts';
import { createLineMapper } from './map-line.ts';
import { decideMergeable, type Mergeable, tryMerge } from './mergeable.ts';
import { requireChange } from './require-change.ts';

const CHANGES_MAX = 200;

/** The newest changes of all repositories, with the states of their newest commits' checks. */
export async function listChanges(tx: Tx, filter: { state?: Change['state'] }) {
  const changes = await tx.change.findMany({ where: filter, orderBy: { createdAt: 'desc' }, take: CHANGES_MAX });
  const repositories = await tx.repository.findMany({
    where: { id: { in: changes.map(({ repositoryId }) => repositoryId) } },
    select: { id: true, slug: true, name: true },
  });
  const checksOf = await listHeadChecks(tx, changes);
  return changes.map((change) => ({
    ...change,
    repository: repositories.find(({ id }) => id === change.repositoryId) ?? null,
    checks: checksOf.get(change.id) ?? [],
  }));
}

/** The database's part of a change's page. @throws not_found */
export async function getChangeRows(tx: Tx, repository: Repository, number: number) {
  const change = await requireChange(tx, { repositoryId: repository.id, number });
  const [checks, threads, session, merger] = await Promise.all([
    tx.check.findMany({ where: { changeId: change.id }, orderBy: { createdAt: 'desc' }, take: 200, omit: { log: true } }),
    tx.reviewThread.findMany({ where: { changeId: change.id }, orderBy: { createdAt: 'asc' }, take: 500 }),
    change.sessionId ? tx.session.findUnique({ where: { id: change.sessionId }, omit: { worktree: true } }) : null,
    change.mergedById ? tx.user.findUnique({ where: { id: change.mergedById }, select: { name: true, email: true } }) : null,
  ]);
  const comments = await tx.reviewComment.findMany({
    where: { threadId: { in: threads.map(({ id }) => id) } },
    orderBy: { createdAt: 'asc' },
  });
  const authorIds = comments.flatMap(({ authorId }) => (authorId ? [authorId] : []));
  const [authors, waiting] = await Promise.all([
    tx.user.findMany({ where: { id: { in: authorIds } }, select: { id: true, name: true, email: true } }),
    session ? tx.message.count({ where: { sessionId: session.id, state: { in: ['queued', 'delivered'] } } }) : 0,
  ]);
  const nameOf = (authorId: string | null) => {
    if (authorId === null) return null;
    const author = authors.find(({ id }) => id === authorId);
    return author?.name ?? author?.email ?? 'a former member';
  };
  return {
    change,
    repository,
    mergedBy: merger ? (merger.name ?? merger.email) : null,
    checks: checks.reverse().map(summarizeCheck),
    threads: threads.map((thread) => ({
      ...thread,
      comments: comments
        .filter(({ threadId }) => threadId === thread.id)
        .map(({ id, authorId, sessionId, body, createdAt }) => ({
          id,
          body,
          createdAt,
          authorName: nameOf(authorId),
          byAgent: sessionId !== null,
        })),
    })),
    session: session && {
      id: session.id,
      title: session.title,
      state: session.state,
      status: computeStatus({ state: session.state, hasWork: waiting > 0 }),
      agentName: session.agentName,
      scripted: session.scripted,
    },
  };
}

function summarizeCheck({ id, name, command, state, exitCode, commitSha, createdAt, startedAt, finishedAt }: Omit<Check, 'log'>) {
  return { id, name, command, state, exitCode, commitSha, createdAt, startedAt, finishedAt };
}

export type PlacedThread<T> = T & { outdated: boolean; currentPath: string; currentLine: number };

/** Where each thread's line is at the change's newest commit; one whose line was changed since is outdated. */
export async function placeThreads<T extends Pick<ReviewThread, 'path' | 'line' | 'commitSha'>>(
  gitDir: string,
  headSha: string,
  threads: readonly T[],
): Promise<PlacedThread<T>[]> {
  const findLine = createLineMapper(gitDir, headSha);
  const placed: PlacedThread<T>[] = [];
  for (const thread of threads) {
    const place = await findLine(thread).catch(() => null);
    placed.push({
      ...thread,
      outdated: place === null,
      currentPath: place?.path ?? thread.path,
      currentLine: place?.line ?? thread.line,
    });
  }
  return placed;
}

export type MergeableInput = {
  change: Change;
  checks: Pick<Check, 'name' | 'command' | 'state' | 'commitSha'>[];
  requirePassingChecks: boolean;
};

/** May it be merged now? Asks git for conflicts while the change is open. */
export async function readMergeable(
  gitDir: string,
  { change, checks, requirePassingChecks }: MergeableInput,
): Promise<Mergeable> {
  const ofHead = checks.filter(({ commitSha }) => commitSha === change.headSha);
  const { state, headSha, baseBranch: base } = change;
  const facts = { state, base, conflicts: [], checks: ofHead, required: [], headProblem: null, requirePassingChecks };
  if (state !== 'open') return decideMergeable(facts);
  const baseSha = await findCommit(gitDir, base);
  if (!baseSha) return { ok: false, reason: `The branch ${base} is not there.` };
  try {
    const [merged, expected] = await Promise.all([
      tryMerge(gitDir, baseSha, headSha),
      expectedChecks(gitDir, { baseSha, headSha }),
    ]);
    return decideMergeable({ ...facts, ...expected, conflicts: merged.kind === 'conflicts' ? merged.files : [] });
  } catch (error) {
    if (error instanceof GitError) return { ok: false, reason: 'Git could not try the merge; the server’s log names the cause.' };
    throw error;
  }
}
