import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Change, Repository } from '../../prisma/generated/client.ts';
import { finishCheck } from '../checks/finish-check.ts';
import { startCheck } from '../checks/start-check.ts';
import { type Tx, withOrg } from '../db.ts';
import { repositoryDir } from '../forge/layout.ts';
import { newId } from '../ids.ts';
import { findCommit } from '../repositories/bare-repository.ts';
import { openTestDatabase } from '../testing/database.ts';
import { anOrg, type TestOrg } from '../testing/fixtures.ts';
import { setUpForge } from '../testing/forge.ts';
import { comment, reply } from './comment.ts';
import { recordPush } from './record-push.ts';

const database = openTestDatabase();
const { forge, aSample, aWorkingSession } = setUpForge(database);
const { db } = database;

type Working = Awaited<ReturnType<typeof aWorkingSession>>;
let org: TestOrg;
let repository: Repository;
let working: Working;

beforeAll(async () => {
  org = await anOrg(db);
  // Every test leaves a session awake.
  await withOrg(db, org.orgId, (tx) =>
    tx.organization.update({ where: { id: org.orgId }, data: { policy: { maxConcurrentSessions: 100 } } }),
  );
  repository = await aSample(org);
});
beforeEach(async () => {
  working = await aWorkingSession(org, repository);
});

const inOrg = <T>(fn: (tx: Tx) => Promise<T>) => withOrg(db, org.orgId, fn);
const now = new Date();
const author = () => ({ userId: org.ownerId, name: 'Ann' });

/** Commits, pushes through the real address, and returns the change as it is then. */
async function push(files: Record<string, string>, subject?: string): Promise<Change> {
  await working.workspace.commit(files, subject);
  const pushed = await working.workspace.git('push', 'origin', 'HEAD');
  expect(pushed).toMatchObject({ ok: true });
  return inOrg((tx) => tx.change.findFirstOrThrow({ where: { sessionId: working.session.id } }));
}
const checksOf = (change: Change) =>
  inOrg((tx) => tx.check.findMany({ where: { changeId: change.id }, orderBy: { name: 'asc' } }));
const messages = () => inOrg((tx) => tx.message.findMany({ where: { sessionId: working.session.id }, orderBy: { seq: 'asc' } }));
const events = async () =>
  (await inOrg((tx) => tx.sessionEvent.findMany({ where: { sessionId: working.session.id }, orderBy: { seq: 'asc' } }))).map(
    ({ data }) => data as Record<string, unknown>,
  );
const session = () => inOrg((tx) => tx.session.findUniqueOrThrow({ where: { id: working.session.id } }));
const sleep = () => inOrg((tx) => tx.session.update({ where: { id: working.session.id }, data: { state: 'suspended' } }));
const finish = (checkId: string, exitCode: number, log = '') =>
  finishCheck(db, { orgId: org.orgId, checkId, outcome: { kind: 'ran', exitCode, log }, now: new Date() });

describe('a push', () => {
  it('opens a change with its checks, and the next one refreshes it and supersedes what waits', async () => {
    const first = await push({ 'a.txt': 'a' }, 'Add a file');
    expect(first).toMatchObject({ title: 'Add a file', state: 'open', baseBranch: 'main', branch: working.session.branch });
    expect((await checksOf(first)).map(({ name, command, state }) => [name, command, state])).toEqual([
      ['test', 'npm test', 'queued'],
      ['types', 'npm run typecheck', 'queued'],
    ]);
    const second = await push({ 'a.txt': 'b' }, 'Change the file');
    expect(second).toMatchObject({ id: first.id, number: first.number, title: 'Add a file', baseSha: first.baseSha });
    expect(second.headSha).not.toBe(first.headSha);
    const states = (await checksOf(second)).map(({ commitSha, state }) => [commitSha === second.headSha, state]);
    expect(states.filter(([newest]) => newest)).toEqual([
      [true, 'queued'],
      [true, 'queued'],
    ]);
    expect(states.filter(([newest]) => !newest)).toEqual([
      [false, 'superseded'],
      [false, 'superseded'],
    ]);
    expect((await events()).filter(({ kind }) => kind === 'pushed').map(({ subject }) => subject)).toEqual([
      'Add a file',
      'Change the file',
    ]);
  });

  it('is recorded once, however often it is looked at', async () => {
    const change = await push({ 'a.txt': 'once' });
    await Promise.all([1, 2, 3].map(() => recordPush(forge, { orgId: org.orgId, sessionId: working.session.id })));
    expect((await checksOf(change)).length).toBe(2);
    expect(await inOrg((tx) => tx.repoEvent.count({ where: { changeId: change.id, kind: 'push' } }))).toBe(1);
  });

  it('whose record was lost is recorded when the branch is looked at again', async () => {
    await working.workspace.commit({ 'a.txt': 'lost' }, 'Lost');
    await inOrg((tx) => tx.session.update({ where: { id: working.session.id }, data: { state: 'stopping' } }));
    // As if the process had died between git's part and ours.
    await working.workspace.git('push', '-q', repositoryDir(forge.forgeDir, org.orgId, repository.id), 'HEAD');
    await inOrg((tx) => tx.session.update({ where: { id: working.session.id }, data: { state: 'running' } }));
    expect((await working.workspace.git('push', 'origin', 'HEAD')).ok).toBe(true);
    expect(await inOrg((tx) => tx.change.findFirst({ where: { sessionId: working.session.id } }))).toMatchObject({
      title: 'Lost',
    });
  });

  it('with an environment file that does not parse says so in the timeline, with the line', async () => {
    await working.workspace.git('rm', '-q', '.warren/environment.yaml');
    const change = await push({ '.warren-x': '' });
    expect(await checksOf(change)).toEqual([]);
    const { mkdir } = await import('node:fs/promises');
    await mkdir(`${working.workspace.dir}/.warren`);
    await push({ '.warren/environment.yaml': 'checks:\n  - nam: x\n' });
    expect((await events()).at(-1)).toMatchObject({ kind: 'error', detail: expect.stringContaining('environment.yaml line 2') });
  });
});

describe('a check', () => {
  it('that fails wakes the session once all of its commit are in, with one message about all that failed', async () => {
    const change = await push({ 'a.txt': 'fails' });
    const [test, types] = await checksOf(change);
    await sleep();
    expect(await startCheck(db, { orgId: org.orgId, checkId: test!.id, machineId: newId('machine'), now })).toMatchObject({
      state: 'running',
    });
    await finish(test!.id, 1, 'expected 1 got 2\0');
    expect(await messages()).toEqual([]);
    expect((await session()).state).toBe('suspended');

    await finish(types!.id, 2, '\u001b[31msrc/cart.ts(12,10): error TS18048\u001b[0m');
    const [message, ...more] = await messages();
    expect(more).toEqual([]);
    expect(message).toMatchObject({ kind: 'check_failed', sourceId: test!.id });
    expect(message!.text).toMatch(/^Checks failed for commit [0-9a-f]{12}: test, types\n/);
    expect(message!.text).toContain(
      'Command: npm run typecheck\nExit code: 2\nEnd of its output:\nsrc/cart.ts(12,10): error TS18048',
    );
    expect((await session()).state).toBe('resuming');
    const [wake] = await inOrg((tx) => tx.wake.findMany({ where: { sessionId: working.session.id } }));
    expect(wake).toMatchObject({ cause: 'check_failed', messageId: message!.id, outcome: 'pending' });
  });

  it('ended twice counts once, and two that end at the same moment make one message', async () => {
    const change = await push({ 'a.txt': 'race' });
    const [test, types] = await checksOf(change);
    const results = await Promise.all([finish(test!.id, 1), finish(types!.id, 1), finish(test!.id, 0), finish(types!.id, 0)]);
    expect(results.filter(Boolean).length).toBe(2);
    const failed = (await checksOf(change)).filter(({ state }) => state === 'failed').length;
    expect((await messages()).length).toBe(failed > 0 ? 1 : 0);
  });

  it('of an older commit wakes nobody', async () => {
    const first = await push({ 'a.txt': 'older' });
    const [test, types] = await checksOf(first);
    await startCheck(db, { orgId: org.orgId, checkId: test!.id, machineId: newId('machine'), now });
    await push({ 'a.txt': 'newer' });
    expect(await finish(test!.id, 1)).toBe(true);
    expect(await finish(types!.id, 1)).toBe(false);
    expect(await messages()).toEqual([]);
  });

  it('that could not be run shows as an error and wakes nobody', async () => {
    const change = await push({ 'a.txt': 'errored' });
    const [test, types] = await checksOf(change);
    await sleep();
    await finish(types!.id, 0);
    await finishCheck(db, {
      orgId: org.orgId,
      checkId: test!.id,
      outcome: { kind: 'errored', reason: 'no host had room', log: '' },
      now,
    });
    expect((await session()).state).toBe('suspended');
    expect((await events()).at(-1)).toMatchObject({
      kind: 'error',
      title: 'The check “test” could not be run',
      detail: 'no host had room',
    });
  });
});

describe('a review comment', () => {
  const place = (change: Change) => ({
    orgId: org.orgId,
    repositoryId: repository.id,
    number: change.number,
    path: 'src/cart.ts',
    commitSha: change.headSha,
    author: author(),
  });

  it('is kept with its line, and wakes the session with what the agent needs', async () => {
    const change = await push({ 'a.txt': 'review' });
    await sleep();
    const made = await comment(forge, { ...place(change), line: 7, body: 'Make 5000 a constant.\nPlease.' });
    expect(made).toMatchObject({ delivered: true, outdated: false });
    const thread = await inOrg((tx) => tx.reviewThread.findUniqueOrThrow({ where: { id: made.threadId } }));
    expect(thread).toMatchObject({ path: 'src/cart.ts', line: 7, lineText: '  return sum >= 5000 ? sum : sum + 490;' });
    const [message] = await messages();
    expect(message).toMatchObject({ kind: 'review_comment', sourceId: made.commentId, authorId: org.ownerId });
    expect(message!.text).toMatch(/^Review comment on src\/cart\.ts, line 7\n/);
    expect(message!.text).toContain('Ann wrote:\n> Make 5000 a constant.\n> Please.');
    expect((await session()).state).toBe('resuming');

    const answered = await reply(forge, { orgId: org.orgId, threadId: made.threadId, body: 'Still waiting.', author: author() });
    expect(answered).toMatchObject({ threadId: made.threadId, delivered: true });
    expect((await messages()).at(-1)!.text).toContain('Said before on this thread:\nReviewer: Make 5000 a constant.');
  });

  it('on a line that has moved names its new place; on one that has changed is accepted and marked', async () => {
    const before = await push({ 'a.txt': 'before' });
    const { readFile } = await import('node:fs/promises');
    const cart = await readFile(`${working.workspace.dir}/src/cart.ts`, 'utf8');
    await push({ 'src/cart.ts': `// On top.\n${cart.replace('cents + line.quantity', 'cents + 1 * line.quantity')}` });
    const moved = await comment(forge, { ...place(before), line: 7, body: 'This one moved.' });
    expect(moved.outdated).toBe(false);
    expect((await messages()).at(-1)!.text).toMatch(/^Review comment on src\/cart\.ts, line 8\n/);
    const changed = await comment(forge, { ...place(before), line: 6, body: 'This one changed.' });
    expect(changed.outdated).toBe(true);
    expect((await messages()).at(-1)!.text).toContain('that line has changed since');
  });

  it.each([
    ['a line beyond the end', { line: 99 }],
    ['a file that is not there', { path: 'src/none.ts' }],
    ['a path that climbs out', { path: '../../../etc/passwd' }],
    ['a commit that is not of the change', { commitSha: 'f'.repeat(40) }],
    ['an option as a commit', { commitSha: '--output=/tmp/x' }],
  ])('on %s is refused', async (_name, set) => {
    const change = await push({ 'a.txt': `refused ${_name}` });
    await expect(comment(forge, { ...place(change), line: 1, body: 'x', ...set })).rejects.toMatchObject({ code: 'bad_request' });
    expect(await messages()).toEqual([]);
  });

  it('on a session that has ended is kept', async () => {
    const change = await push({ 'a.txt': 'ended' });
    await inOrg((tx) => tx.session.update({ where: { id: working.session.id }, data: { state: 'stopped' } }));
    expect(await comment(forge, { ...place(change), line: 1, body: 'Too late?' })).toMatchObject({ delivered: false });
  });
});

it('the sample’s default branch never moved in all of this', async () => {
  const gitDir = repositoryDir(forge.forgeDir, org.orgId, repository.id);
  const main = await findCommit(gitDir, 'main');
  expect((await working.workspace.git('rev-parse', 'origin/main')).stdout.trim()).toBe(main);
});
