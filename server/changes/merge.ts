import type { Change, Check, Repository } from '../../prisma/generated/client.ts';
import { recordAudit } from '../audit/record.ts';
import type { Clock } from '../clock.ts';
import { type Db, type Tx, withOrg } from '../db.ts';
import { AppError, notFound } from '../errors.ts';
import { git, identityEnv, tryGit } from '../forge/git.ts';
import { repositoryDir } from '../forge/layout.ts';
import { withLock } from '../forge/lock.ts';
import { recordRepoEvent } from '../forge/record-repo-event.ts';
import { publishNotice } from '../realtime/publish.ts';
import { findCommit } from '../repositories/bare-repository.ts';
import { appendEvent } from '../sessions/append-event.ts';
import { dropLeftBranch, endSession } from './end-session.ts';
import { expectedChecks } from './expected-checks.ts';
import { decideMergeable, tryMerge } from './mergeable.ts';
import { requireOpenChange } from './require-change.ts';

type ReadCheck = Pick<Check, 'name' | 'command' | 'state'>;

export type MergeDeps = { db: Db; forgeDir: string; clock: Clock };
export type MergeInput = {
  orgId: string;
  repositoryId: string;
  number: number;
  /** What the person saw: a commit pushed since is not merged unseen. */
  expectedHeadSha: string;
  requirePassingChecks: boolean;
  person: { userId: string; name: string; email: string };
};

/**
 * Merges a change into the default branch with a merge commit and ends its session. The branch moves by compare-and-set
 * inside the transaction that records it: of two people merging at once one wins and the other learns so.
 *
 * @throws not_found; conflict when it is merged, closed, has newer commits or does not merge; policy_denied by its checks
 */
export async function merge(deps: MergeDeps, input: MergeInput): Promise<{ mergedSha: string }> {
  const { repositoryId, orgId } = input;
  const gitDir = repositoryDir(deps.forgeDir, orgId, repositoryId);
  return withLock(gitDir, async () => {
    const { change, repository, checks } = await withOrg(deps.db, orgId, (tx) => readMerge(tx, input));
    if (input.requirePassingChecks) await requirePassed(gitDir, change, checks);
    const now = deps.clock.now();
    const made = await makeMergeCommit(gitDir, { change, repository, person: input.person, now });
    await withOrg(deps.db, orgId, async (tx) => {
      const current = await requireOpenChange(tx, input);
      if (current.headSha !== change.headSha) throw headMoved();
      await recordMerge(tx, { change, mergedSha: made.mergedSha, person: input.person, now });
      // Last, so that whatever fails before it leaves git as it was; a few milliseconds with the row held.
      await moveBranch(gitDir, repository.defaultBranch, made);
    });
    await dropLeftBranch(deps, change);
    return { mergedSha: made.mergedSha };
  });
}

async function readMerge(tx: Tx, input: MergeInput): Promise<{ change: Change; repository: Repository; checks: ReadCheck[] }> {
  const repository = await tx.repository.findUnique({ where: { id: input.repositoryId } });
  if (!repository) throw notFound('repository');
  const change = await requireOpenChange(tx, input);
  if (change.headSha !== input.expectedHeadSha) throw headMoved();
  const checks = await tx.check.findMany({
    where: { changeId: change.id, commitSha: change.headSha },
    orderBy: { createdAt: 'asc' },
    select: { name: true, command: true, state: true },
  });
  return { change, repository, checks };
}

async function requirePassed(gitDir: string, change: Change, checks: ReadCheck[]): Promise<void> {
  const { state, headSha, baseBranch: base } = change;
  const baseSha = await findCommit(gitDir, base);
  if (!baseSha) throw branchGone(base);
  const expected = await expectedChecks(gitDir, { baseSha, headSha });
  const verdict = decideMergeable({ state, base, conflicts: [], checks, ...expected, requirePassingChecks: true });
  if (verdict.ok) return;
  throw new AppError('policy_denied', {
    publicMessage: `This organization merges only what passed its checks. ${verdict.reason ?? ''}`.trim(),
  });
}

function branchGone(branch: string): AppError {
  return new AppError('conflict', { publicMessage: `The branch ${branch} is not there.` });
}

function headMoved(): AppError {
  return new AppError('conflict', {
    publicMessage: 'New commits were pushed since you opened this page. Look at them, then merge.',
  });
}

type Made = { mergedSha: string; previousSha: string };
type MergeFacts = { change: Change; repository: Repository; person: MergeInput['person']; now: Date };

async function makeMergeCommit(gitDir: string, { change, repository, person, now }: MergeFacts): Promise<Made> {
  const previousSha = await findCommit(gitDir, repository.defaultBranch);
  if (!previousSha) throw branchGone(repository.defaultBranch);
  const contained = await tryGit(['merge-base', '--is-ancestor', '--end-of-options', change.headSha, previousSha], { gitDir });
  // Merged before, but the record of it was lost with the process: only the record is missing.
  if (contained.exitCode === 0) return { mergedSha: previousSha, previousSha };
  const merged = await tryMerge(gitDir, previousSha, change.headSha);
  if (merged.kind === 'conflicts') {
    throw new AppError('conflict', {
      publicMessage: `This change conflicts with ${repository.defaultBranch} in ${merged.files.join(', ')}. Ask the session to merge ${repository.defaultBranch} into its branch.`,
      details: { files: merged.files },
    });
  }
  const message = `Merge change ${change.number}: ${change.title}`;
  const args = ['commit-tree', '-p', previousSha, '-p', change.headSha, '-F', '-', '--end-of-options', merged.treeSha];
  const env = identityEnv(
    { name: plain(person.name) || 'Someone', email: plain(person.email) || 'unknown@localhost' },
    now.toISOString(),
  );
  return { mergedSha: (await git(args, { gitDir, env, input: message })).trim(), previousSha };
}

/** git refuses these characters in a name. */
function plain(text: string): string {
  return text.replaceAll(/[<>\n\0]/g, '').trim();
}

async function moveBranch(gitDir: string, branch: string, { mergedSha, previousSha }: Made): Promise<void> {
  if (mergedSha === previousSha) return;
  const { exitCode } = await tryGit(['update-ref', '-m', 'merge', `refs/heads/${branch}`, mergedSha, previousSha], { gitDir });
  if (exitCode !== 0)
    throw new AppError('conflict', { publicMessage: `${branch} moved while this was being merged. Try again.` });
}

type MergeRecord = { change: Change; mergedSha: string; person: MergeInput['person']; now: Date };

async function recordMerge(tx: Tx, { change, mergedSha, person, now }: MergeRecord): Promise<void> {
  const { orgId } = change;
  await tx.change.update({
    where: { id: change.id },
    data: { state: 'merged', mergedSha, mergedById: person.userId, endedAt: now },
  });
  await tx.check.updateMany({ where: { changeId: change.id, state: 'queued' }, data: { state: 'superseded' } });
  await recordRepoEvent(tx, change, {
    kind: 'merged',
    commitSha: mergedSha,
    deliveryId: `merged:${change.id}`,
    payload: { number: change.number },
  });
  await recordAudit(tx, {
    orgId,
    actor: person.userId,
    action: 'change.merged',
    target: change.id,
    details: { number: change.number, mergedSha },
  });
  if (change.sessionId) {
    const ref = { orgId, sessionId: change.sessionId };
    await appendEvent(tx, ref, { kind: 'merged', changeId: change.id, number: change.number, byName: person.name });
    await endSession(tx, ref, { reason: 'change merged', actor: { kind: 'user', userId: person.userId }, now });
  }
  publishNotice(tx, { kind: 'change', orgId, changeId: change.id, sessionId: change.sessionId });
  publishNotice(tx, { kind: 'repository', orgId, repositoryId: change.repositoryId });
}
