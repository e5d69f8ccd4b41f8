import type { Change, Repository, Session } from '../../prisma/generated/client.ts';
import type { Clock } from '../clock.ts';
import { type Db, type Tx, withOrg } from '../db.ts';
import { describeProblems, type EnvironmentResult } from '../environments/environment.ts';
import { git } from '../forge/git.ts';
import { repositoryDir } from '../forge/layout.ts';
import { withLock } from '../forge/lock.ts';
import { recordRepoEvent } from '../forge/record-repo-event.ts';
import { newId } from '../ids.ts';
import { enqueue } from '../jobs/enqueue.ts';
import type { Logger } from '../logger.ts';
import { publishNotice } from '../realtime/publish.ts';
import { commitInfo, findCommit } from '../repositories/bare-repository.ts';
import { environmentAt } from '../repositories/environment-at.ts';
import { appendEvent } from '../sessions/append-event.ts';
import { acceptsInput } from '../sessions/states.ts';

export type RecordPushDeps = { db: Db; forgeDir: string; clock: Clock; logger: Logger };

/** Where the session's branch stands, as git has it. */
type Pushed = { headSha: string; baseSha: string; subject: string; environment: EnvironmentResult };

/**
 * Brings the session's change in line with its branch: opens or refreshes it, supersedes checks of older commits and
 * queues those of the new one, all in one transaction. It compares git with the rows instead of trusting a notification,
 * so running it again, or after a crash between push and record, does the right thing.
 *
 * @returns the change when something was recorded, else null
 */
export async function recordPush(deps: RecordPushDeps, input: { orgId: string; sessionId: string }): Promise<Change | null> {
  const { orgId, sessionId } = input;
  const known = await withOrg(deps.db, orgId, async (tx) => {
    const session = await tx.session.findUnique({ where: { id: sessionId } });
    const repository = session && (await tx.repository.findUnique({ where: { id: session.repositoryId } }));
    return session && repository ? { session, repository } : null;
  });
  if (!known) return null;
  const { session, repository } = known;
  const gitDir = repositoryDir(deps.forgeDir, orgId, repository.id);
  // One at a time per repository, so that what git says is still so when it is written down.
  return withLock(gitDir, async () => {
    const pushed = await readPushed(gitDir, session.branch, repository.defaultBranch);
    if (!pushed) return null;
    const change = await withOrg(deps.db, orgId, (tx) => writePush(tx, { session, repository, pushed, now: deps.clock.now() }));
    if (change)
      deps.logger.info(
        { event: 'change.pushed', orgId, sessionId, changeId: change.id, commitSha: change.headSha },
        'push recorded',
      );
    return change;
  });
}

/** Null when the branch is not there, or has nothing that the default branch has not. */
async function readPushed(gitDir: string, branch: string, defaultBranch: string): Promise<Pushed | null> {
  const headSha = await findCommit(gitDir, branch);
  const defaultSha = await findCommit(gitDir, defaultBranch);
  if (!headSha || !defaultSha) return null;
  const baseSha = (await git(['merge-base', '--end-of-options', defaultSha, headSha], { gitDir }).catch(() => '')).trim();
  if (!baseSha || baseSha === headSha) return null;
  const { subject } = await commitInfo(gitDir, headSha);
  return { headSha, baseSha, subject, environment: await environmentAt(gitDir, headSha) };
}

type PushFacts = { session: Session; repository: Repository; pushed: Pushed; now: Date };

async function writePush(tx: Tx, { session, repository, pushed, now }: PushFacts): Promise<Change | null> {
  const { orgId } = session;
  const ref = { orgId, sessionId: session.id };
  // Numbers are given out under this lock, which also makes two recorders of one push agree.
  await tx.$queryRaw`select 1 from "Repository" where id = ${repository.id} for no key update`;
  // So that nobody merges or closes the change between looking and writing.
  await tx.$queryRaw`select 1 from "Change" where "sessionId" = ${session.id} for no key update`;
  const current = await tx.session.findUniqueOrThrow({ where: { id: session.id }, select: { state: true } });
  const open = await tx.change.findFirst({ where: { sessionId: session.id, state: 'open' } });
  if (open?.headSha === pushed.headSha || !acceptsInput(current.state)) return null;

  const change = open
    ? await tx.change.update({ where: { id: open.id }, data: { headSha: pushed.headSha, baseSha: pushed.baseSha } })
    : await openChange(tx, { session, repository, pushed, now });
  await recordRepoEvent(tx, change, {
    kind: 'push',
    commitSha: pushed.headSha,
    deliveryId: `push:${change.id}:${pushed.headSha}`,
    payload: { branch: session.branch, subject: pushed.subject },
  });
  await appendEvent(tx, ref, {
    kind: 'pushed',
    changeId: change.id,
    number: change.number,
    commitSha: pushed.headSha,
    subject: pushed.subject,
  });
  await tx.check.updateMany({
    where: { changeId: change.id, state: 'queued', commitSha: { not: pushed.headSha } },
    data: { state: 'superseded' },
  });
  if (pushed.environment.ok) await queueChecks(tx, change, pushed.environment.environment.checks, now);
  else {
    await appendEvent(tx, ref, {
      kind: 'error',
      title: 'No checks were run for this push',
      detail: describeProblems(pushed.environment.problems),
      nextStep: 'Correct the file and push again.',
    });
  }
  publishNotice(tx, { kind: 'change', orgId, changeId: change.id, sessionId: session.id });
  publishNotice(tx, { kind: 'repository', orgId, repositoryId: repository.id });
  return change;
}

async function openChange(tx: Tx, { session, repository, pushed }: PushFacts): Promise<Change> {
  const last = await tx.change.aggregate({ where: { repositoryId: repository.id }, _max: { number: true } });
  return tx.change.create({
    data: {
      id: newId('change'),
      orgId: session.orgId,
      repositoryId: repository.id,
      sessionId: session.id,
      number: (last._max.number ?? 0) + 1,
      title: pushed.subject || session.title,
      branch: session.branch,
      baseBranch: repository.defaultBranch,
      baseSha: pushed.baseSha,
      headSha: pushed.headSha,
    },
  });
}

async function queueChecks(tx: Tx, change: Change, checks: { name: string; command: string }[], now: Date): Promise<void> {
  const { orgId, repositoryId, id: changeId, headSha: commitSha } = change;
  for (const [index, { name, command }] of checks.entries()) {
    const id = newId('check');
    // A millisecond apart: they are listed by it, and keep the order of the file.
    const createdAt = new Date(now.getTime() + index);
    await tx.check.create({ data: { id, orgId, repositoryId, changeId, commitSha, name, command, createdAt } });
    await enqueue(tx, 'run-check', { orgId, checkId: id });
  }
}
