import { beforeAll, describe, expect, it } from 'vitest';
import { withOrg } from '../../db.ts';
import { newId } from '../../ids.ts';
import { callerFor } from '../../testing/caller.ts';
import { openTestDatabase } from '../../testing/database.ts';
import { anOrg, type TestOrg } from '../../testing/fixtures.ts';
import { setUpForge } from '../../testing/forge.ts';
import { testServices } from '../../testing/services.ts';

const database = openTestDatabase();
const { forge, aWorkingSession } = setUpForge(database);
let org: TestOrg;
let caller: ReturnType<typeof callerFor>;

beforeAll(async () => {
  org = await anOrg(database.db);
  caller = callerFor(testServices(database, { forgeDir: forge.forgeDir }), org.ownerId);
});

describe('repositories', () => {
  it('an empty one can be looked at, and says why no session starts in it', async () => {
    const { slug } = await caller.repositories.create({ org: org.slug, name: 'Nothing Yet', content: 'empty' });
    expect(slug).toBe('nothing-yet');
    expect(await caller.repositories.get({ org: org.slug, repo: slug })).toMatchObject({
      head: null,
      template: null,
      ready: false,
      openChanges: [],
    });
    expect(await caller.repositories.tree({ org: org.slug, repo: slug })).toEqual({ commitSha: null, path: '', entries: [] });
    await expect(caller.sessions.create({ org: org.slug, repo: slug, prompt: 'x' })).rejects.toThrow('has no commits');
    await expect(caller.repositories.rebuildTemplate({ org: org.slug, repo: slug })).rejects.toThrow('no commits');
  });

  it('the sample has its files, its environment and a template to ask for', async () => {
    const { slug } = await caller.repositories.create({ org: org.slug, name: 'Shop', content: 'sample' });
    const got = await caller.repositories.get({ org: org.slug, repo: slug });
    expect(got).toMatchObject({
      head: { subject: 'Sell tea and jam' },
      environment: { ok: true, environment: { checks: [{ name: 'test' }, { name: 'types' }] } },
    });
    const tree = await caller.repositories.tree({ org: org.slug, repo: slug });
    expect(tree.entries.slice(0, 2).map(({ name, kind }) => [name, kind])).toEqual([
      ['.warren', 'directory'],
      ['src', 'directory'],
    ]);
    expect(tree.entries.map(({ name }) => name)).not.toContain('node_modules');
    expect(await caller.repositories.file({ org: org.slug, repo: slug, path: 'README.md' })).toMatchObject({
      binary: false,
      text: expect.stringMatching(/^# Corner shop/),
    });
    for (const wrong of [
      { path: '../x' },
      { path: 'none' },
      { path: 'src' },
      { path: 'README.md', ref: 'nope' },
      { path: 'README.md', ref: '--all' },
    ]) {
      await expect(caller.repositories.file({ org: org.slug, repo: slug, ...wrong })).rejects.toMatchObject({
        code: 'NOT_FOUND',
      });
    }
    const { templateId } = await caller.repositories.rebuildTemplate({ org: org.slug, repo: slug });
    expect(await caller.repositories.templateLog({ org: org.slug, templateId })).toMatchObject({ state: 'building', log: '' });
    expect((await caller.repositories.list({ org: org.slug })).find((one) => one.slug === slug)).toMatchObject({
      templateState: 'building',
      openChanges: 0,
    });
  });

  it('two cannot have the same name, and a name needs something to be called by', async () => {
    await caller.repositories.create({ org: org.slug, name: 'Twice', content: 'empty' });
    await expect(caller.repositories.create({ org: org.slug, name: 'twice!', content: 'empty' })).rejects.toMatchObject({
      code: 'CONFLICT',
    });
    await expect(caller.repositories.create({ org: org.slug, name: '¡!', content: 'empty' })).rejects.toMatchObject({
      code: 'BAD_REQUEST',
    });
    const both = await Promise.allSettled(
      [1, 2].map(() => caller.repositories.create({ org: org.slug, name: 'Race', content: 'empty' })),
    );
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  });
});

describe('a change', () => {
  it('is read, commented on, checked again, and merged', async () => {
    const repository = await caller.repositories.create({ org: org.slug, name: 'Reviewed', content: 'sample' });
    const { session, workspace } = await aWorkingSession(
      org,
      await withOrg(database.db, org.orgId, (tx) => tx.repository.findUniqueOrThrow({ where: { id: repository.id } })),
    );
    await workspace.commit({ 'src/money.ts': 'export const first = 1;\nexport const second = 2;\n' }, 'Rewrite');
    await workspace.git('push', 'origin', 'HEAD');
    const key = { org: org.slug, repo: repository.slug, number: 1 };
    const first = await caller.changes.get(key);
    expect(first).toMatchObject({
      change: { title: 'Rewrite', state: 'open' },
      session: { id: session.id },
      threads: [],
      mergeable: { ok: true, reason: 'test, types have not finished.' },
    });
    expect(await caller.changes.list({ org: org.slug, state: 'open' })).toMatchObject([
      { number: 1, repository: { slug: 'reviewed' }, checks: [{ state: 'queued' }, { state: 'queued' }] },
    ]);

    const { headSha } = first.change;
    const { threadId, commentId } = await caller.changes.comment({
      ...key,
      path: 'src/money.ts',
      line: 2,
      commitSha: headSha,
      body: 'Why two?',
    });
    await withOrg(database.db, org.orgId, (tx) =>
      tx.reviewComment.create({
        data: { id: newId('comment'), orgId: org.orgId, threadId, sessionId: session.id, body: 'Because.' },
      }),
    );
    await workspace.commit({ 'src/money.ts': 'export const first = 1;\nexport const two = 2;\n' }, 'Rename');
    await workspace.git('push', 'origin', 'HEAD');
    const second = await caller.changes.get(key);
    expect(second.threads).toMatchObject([
      {
        outdated: true,
        lineText: 'export const second = 2;',
        comments: [
          { id: commentId, authorName: 'Owner of Acme', byAgent: false },
          { body: 'Because.', authorName: null, byAgent: true },
        ],
      },
    ]);
    expect(second.checks.map(({ state }) => state).sort()).toEqual(['queued', 'queued', 'superseded', 'superseded']);
    expect((await caller.changes.diff(key)).files).toMatchObject([
      { path: 'src/money.ts', newText: 'export const first = 1;\nexport const two = 2;\n' },
    ]);
    await caller.changes.resolve({ org: org.slug, threadId, resolved: true });

    const newest = second.checks.filter(({ commitSha }) => commitSha === second.change.headSha);
    await expect(caller.changes.rerunCheck({ org: org.slug, checkId: newest[0]!.id })).rejects.toThrow('already waiting');
    await withOrg(database.db, org.orgId, (tx) =>
      tx.check.updateMany({ where: { commitSha: second.change.headSha }, data: { state: 'failed', log: 'boom' } }),
    );
    expect(await caller.changes.checkLog({ org: org.slug, checkId: newest[0]!.id })).toMatchObject({
      state: 'failed',
      log: 'boom',
    });
    await caller.changes.rerunCheck({ org: org.slug, checkId: newest[0]!.id });

    await expect(caller.changes.merge({ ...key, expectedHeadSha: headSha })).rejects.toMatchObject({ code: 'CONFLICT' });
    await caller.changes.merge({ ...key, expectedHeadSha: second.change.headSha });
    expect(await caller.changes.get(key)).toMatchObject({
      change: { state: 'merged' },
      mergedBy: 'Owner of Acme',
      session: { state: 'stopping' },
      mergeable: { ok: false },
    });
    await expect(caller.changes.merge({ ...key, expectedHeadSha: second.change.headSha })).rejects.toThrow(
      'has merged this change already',
    );
    await expect(
      caller.changes.comment({ ...key, path: 'src/money.ts', line: 1, commitSha: headSha, body: 'Late' }),
    ).rejects.toMatchObject({ code: 'CONFLICT' });
    expect((await caller.repositories.file({ org: org.slug, repo: repository.slug, path: 'src/money.ts' })).text).toContain(
      'two',
    );
  });
});
