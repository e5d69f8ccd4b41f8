import { beforeAll, describe, expect, it } from 'vitest';
import type { Repository } from '../../prisma/generated/client.ts';
import { type Tx, withOrg } from '../db.ts';
import { deleteSessionBranch } from '../forge/delete-branch.ts';
import { git } from '../forge/git.ts';
import { repositoryDir } from '../forge/layout.ts';
import { findCommit, readFileAt } from '../repositories/bare-repository.ts';
import { openTestDatabase } from '../testing/database.ts';
import { anOrg, type TestOrg } from '../testing/fixtures.ts';
import { setUpForge } from '../testing/forge.ts';
import { closeChange } from './close.ts';
import { computeDiff } from './compute-diff.ts';
import { getChangeRows, readMergeable } from './get-change.ts';
import { merge } from './merge.ts';

const database = openTestDatabase();
const { forge, aSample, aWorkingSession } = setUpForge(database);
const { db } = database;
let org: TestOrg;
let repository: Repository;
let gitDir: string;

beforeAll(async () => {
  org = await anOrg(db);
  repository = await aSample(org);
  gitDir = repositoryDir(forge.forgeDir, org.orgId, repository.id);
});

const inOrg = <T>(fn: (tx: Tx) => Promise<T>) => withOrg(db, org.orgId, fn);

async function aChange(files: Record<string, string>) {
  const working = await aWorkingSession(org, repository);
  await working.workspace.commit(files, 'A change <b>"quoted"</b>');
  expect((await working.workspace.git('push', 'origin', 'HEAD')).ok).toBe(true);
  const change = await inOrg((tx) => tx.change.findFirstOrThrow({ where: { sessionId: working.session.id } }));
  return { ...working, change };
}

const person = () => ({ userId: org.ownerId, name: 'Ann <admin>', email: 'ann@example.com' });
const mergeOf = (
  change: { number: number; headSha: string },
  set: { requirePassingChecks?: boolean; expectedHeadSha?: string } = {},
) =>
  merge(forge, {
    orgId: org.orgId,
    repositoryId: repository.id,
    number: change.number,
    expectedHeadSha: change.headSha,
    requirePassingChecks: false,
    person: person(),
    ...set,
  });

/** As the page of an organization that demands checks has it. */
async function viewOf(number: number) {
  const { change, checks } = await inOrg((tx) => getChangeRows(tx, repository, number));
  return { mergeable: await readMergeable(gitDir, { change, checks, requirePassingChecks: true }) };
}

describe('merging', () => {
  it('refuses commits the person has not seen', async () => {
    const { change } = await aChange({ 'unseen.txt': 'x' });
    await expect(mergeOf(change, { expectedHeadSha: 'e'.repeat(40) })).rejects.toMatchObject({
      code: 'conflict',
      publicMessage: expect.stringContaining('New commits'),
    });
  });

  it('refuses unfinished checks only where the policy demands them', async () => {
    const { change } = await aChange({ 'policy.txt': 'x' });
    await expect(mergeOf(change, { requirePassingChecks: true })).rejects.toMatchObject({
      code: 'policy_denied',
      publicMessage: expect.stringContaining('test, types have not finished'),
    });
  });

  it.each([
    ['breaks the file that names them', 'checks: [\n', 'No checks were run: .warren/environment.yaml line 2'],
    ['names none', 'setup: []\n', 'test, types of main were not run'],
    ['removes one', 'checks:\n  - name: test\n    command: "true"\n', 'types of main was not run'],
  ])('refuses a change that %s where the policy demands checks', async (_, environment, reason) => {
    const { change } = await aChange({ '.warren/environment.yaml': environment });
    await inOrg((tx) => tx.check.updateMany({ where: { changeId: change.id }, data: { state: 'passed' } }));
    const before = await findCommit(gitDir, 'main');
    const { mergeable } = await viewOf(change.number);
    expect(mergeable).toMatchObject({ ok: false, reason: expect.stringContaining(reason) });
    await expect(mergeOf(change, { requirePassingChecks: true })).rejects.toMatchObject({
      code: 'policy_denied',
      publicMessage: expect.stringContaining(reason),
    });
    expect(await findCommit(gitDir, 'main')).toBe(before);
  });

  it('takes what passed every check of the default branch', async () => {
    const { change } = await aChange({ 'passed.txt': 'x' });
    await inOrg((tx) => tx.check.updateMany({ where: { changeId: change.id }, data: { state: 'passed' } }));
    expect((await viewOf(change.number)).mergeable).toEqual({ ok: true, reason: null });
    await mergeOf(change, { requirePassingChecks: true });
  });

  it('names the files that conflict and moves nothing', async () => {
    const one = await aChange({ 'src/money.ts': 'one\n', 'README.md': 'one\n' });
    const two = await aChange({ 'src/money.ts': 'two\n' });
    await mergeOf(one.change);
    const before = await findCommit(gitDir, 'main');
    await expect(mergeOf(two.change)).rejects.toMatchObject({ code: 'conflict', details: { files: ['src/money.ts'] } });
    expect(await findCommit(gitDir, 'main')).toBe(before);
    expect(await inOrg((tx) => tx.change.findUnique({ where: { id: two.change.id } }))).toMatchObject({ state: 'open' });
  });

  it('makes a merge commit in the person’s name, ends the session and keeps the record', async () => {
    const { change, session } = await aChange({ 'merged.txt': 'merged\n' });
    const before = await findCommit(gitDir, 'main');
    const { mergedSha } = await mergeOf(change);
    expect(await findCommit(gitDir, 'main')).toBe(mergedSha);
    const shown = await git(['show', '-s', '--format=%P%n%an%n%s', mergedSha], { gitDir });
    expect(shown.trim().split('\n')).toEqual([
      `${before} ${change.headSha}`,
      'Ann admin',
      `Merge change ${change.number}: ${change.title}`,
    ]);
    expect(await readFileAt(gitDir, 'main', 'merged.txt')).toMatchObject({ text: 'merged\n' });
    expect(await inOrg((tx) => tx.session.findUnique({ where: { id: session.id } }))).toMatchObject({ state: 'stopping' });
    expect(await inOrg((tx) => tx.change.findUnique({ where: { id: change.id } }))).toMatchObject({
      state: 'merged',
      mergedSha,
      mergedById: org.ownerId,
    });
    expect(await inOrg((tx) => tx.check.count({ where: { changeId: change.id, state: 'queued' } }))).toBe(0);

    await deleteSessionBranch(forge.forgeDir, { orgId: org.orgId, repositoryId: repository.id, branch: session.branch });
    await deleteSessionBranch(forge.forgeDir, { orgId: org.orgId, repositoryId: repository.id, branch: session.branch });
    expect(await findCommit(gitDir, session.branch)).toBeNull();
    expect((await computeDiff(gitDir, change.baseSha, change.headSha)).files.map(({ path }) => path)).toEqual(['merged.txt']);
  });

  it('by two people at once: one wins, the other learns who did', async () => {
    const { change } = await aChange({ 'race.txt': 'x' });
    const results = await Promise.allSettled([mergeOf(change), mergeOf(change)]);
    expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    const lost = results.find((result) => result.status === 'rejected');
    expect(lost?.reason).toMatchObject({
      code: 'conflict',
      publicMessage: expect.stringMatching(/has merged this change already/),
    });
  });

  it('two changes at once both arrive', async () => {
    const [one, two] = [await aChange({ 'both-1.txt': '1' }), await aChange({ 'both-2.txt': '2' })];
    await Promise.all([mergeOf(one.change), mergeOf(two.change)]);
    expect(await readFileAt(gitDir, 'main', 'both-1.txt')).not.toBeNull();
    expect(await readFileAt(gitDir, 'main', 'both-2.txt')).not.toBeNull();
  });

  it('that git did but nobody recorded only needs recording', async () => {
    const { change } = await aChange({ 'crash.txt': 'x' });
    const { mergedSha } = await mergeOf(change);
    await inOrg((tx) => tx.change.update({ where: { id: change.id }, data: { state: 'open', mergedSha: null } }));
    await inOrg((tx) => tx.repoEvent.deleteMany({ where: { changeId: change.id, kind: 'merged' } }));
    expect(await mergeOf(change)).toEqual({ mergedSha });
    expect(await findCommit(gitDir, 'main')).toBe(mergedSha);
  });
});

describe('closing', () => {
  const close = (number: number) =>
    closeChange(forge, { orgId: org.orgId, repositoryId: repository.id, number, userId: org.ownerId });

  it('gives a change up, ends its session, and cannot be done twice', async () => {
    const { change, session } = await aChange({ 'closed.txt': 'x' });
    await close(change.number);
    expect(await inOrg((tx) => tx.session.findUnique({ where: { id: session.id } }))).toMatchObject({ state: 'stopping' });
    // The session's driver removes the branch when the session has ended.
    expect(await findCommit(gitDir, session.branch)).toBe(change.headSha);
    await expect(close(change.number)).rejects.toMatchObject({ code: 'conflict', publicMessage: 'This change has been closed.' });
    await expect(mergeOf(change)).rejects.toMatchObject({ code: 'conflict' });
  });

  it('removes the branch that an ended session left for its change', async () => {
    const { change, session } = await aChange({ 'left.txt': 'x' });
    await inOrg((tx) => tx.session.update({ where: { id: session.id }, data: { state: 'stopped' } }));
    await close(change.number);
    expect(await findCommit(gitDir, session.branch)).toBeNull();
  });
});
