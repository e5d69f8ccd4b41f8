import { stat } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Repository } from '../../prisma/generated/client.ts';
import { withOrg } from '../db.ts';
import { openTestDatabase } from '../testing/database.ts';
import { anOrg, type TestOrg } from '../testing/fixtures.ts';
import { setUpForge } from '../testing/forge.ts';

const database = openTestDatabase();
const { forge, aSample, aMachine, clone, aWorkingSession } = setUpForge(database);

let org: TestOrg;
let repository: Repository;

beforeAll(async () => {
  org = await anOrg(database.db);
  repository = await aSample(org);
});

const changes = () => withOrg(database.db, org.orgId, (tx) => tx.change.findMany());
const fetchInfo = (authorization?: string, path = `/git/${org.slug}/${repository.slug}.git/info/refs?service=git-upload-pack`) =>
  fetch(`${forge.url}${path}`, { headers: authorization ? { authorization } : {} });

describe('git over HTTP, who gets in', () => {
  it('answers 401 without a grant and with one that has expired', async () => {
    expect((await fetchInfo()).status).toBe(401);
    const { authorization } = await aMachine(org, repository.id, { purpose: 'check', exp: 1000 });
    const expired = await fetchInfo(authorization);
    expect(expired.status).toBe(401);
    expect(await expired.text()).toContain('expired');
  });

  it('answers 403 once the machine has ended, and to an older incarnation', async () => {
    const { authorization, machineId } = await aMachine(org, repository.id, { purpose: 'check' });
    expect((await fetchInfo(authorization)).status).toBe(200);
    await withOrg(database.db, org.orgId, (tx) => tx.machine.update({ where: { id: machineId }, data: { lease: 2 } }));
    expect((await fetchInfo(authorization)).status).toBe(403);
    await withOrg(database.db, org.orgId, (tx) =>
      tx.machine.update({ where: { id: machineId }, data: { lease: 1, endedAt: new Date() } }),
    );
    expect((await fetchInfo(authorization)).status).toBe(403);
  });

  it('answers 404 for another organization’s repository and for any but its own', async () => {
    const other = await anOrg(database.db, { name: 'Globex' });
    const theirs = await aSample(other);
    const second = await aSample(org, 'Second');
    const { authorization } = await aMachine(org, repository.id, { purpose: 'check' });
    for (const path of [`${other.slug}/${theirs.slug}`, `${org.slug}/${second.slug}`, `${org.slug}/nothing`]) {
      expect((await fetchInfo(authorization, `/git/${path}.git/info/refs?service=git-upload-pack`)).status).toBe(404);
    }
    // A grant signed for a repository of another organization finds nothing either.
    const forged = await aMachine(org, theirs.id, { purpose: 'check' });
    expect(
      (await fetchInfo(forged.authorization, `/git/${org.slug}/${theirs.slug}.git/info/refs?service=git-upload-pack`)).status,
    ).toBe(404);
  });

  it.each(['HEAD', 'objects/info/packs', 'config', 'info/refs', '../x', 'git-upload-archive'])('serves no %s', async (path) => {
    const { authorization } = await aMachine(org, repository.id, { purpose: 'check' });
    expect((await fetchInfo(authorization, `/git/${org.slug}/${repository.slug}.git/${path}`)).status).toBe(404);
  });
});

describe('git over HTTP, what a push may do', () => {
  it('refuses the default branch and says where to push instead', async () => {
    const { session, workspace } = await aWorkingSession(org, repository);
    await workspace.commit({ 'a.txt': 'a' });
    const pushed = await workspace.git('push', 'origin', 'HEAD:main');
    expect(pushed.ok).toBe(false);
    expect(pushed.stderr).toContain('remote: Warren refused refs/heads/main: nobody pushes to the default branch');
    expect(pushed.stderr).toContain(`git push origin HEAD:refs/heads/${session.branch}`);
  });

  it('refuses another session’s branch, tags, and its own branch together with another', async () => {
    const other = await aWorkingSession(org, repository);
    const { session, workspace } = await aWorkingSession(org, repository);
    await workspace.commit({ 'a.txt': 'a' });
    for (const target of [other.session.branch, 'refs/tags/v1', 'refs/warren/x']) {
      const pushed = await workspace.git(
        'push',
        'origin',
        target.startsWith('refs/') ? `HEAD:${target}` : `HEAD:refs/heads/${target}`,
      );
      expect(pushed.stderr).toContain('this session may push only to its own branch');
      expect(pushed.ok).toBe(false);
    }
    const both = await workspace.git('push', 'origin', `HEAD:refs/heads/${session.branch}`, 'HEAD:refs/heads/elsewhere');
    expect(both.ok).toBe(false);
    expect((await workspace.git('ls-remote', 'origin')).stdout).not.toContain(session.branch);
    expect(await changes()).toEqual([]);
  });

  it('refuses a push from a check’s or template’s machine', async () => {
    for (const purpose of ['check', 'template'] as const) {
      const { authorization } = await aMachine(org, repository.id, { purpose, branch: 'warren/x' });
      const workspace = await clone(org, repository, authorization);
      expect(workspace.ok).toBe(true);
      await workspace.commit({ 'a.txt': 'a' });
      const pushed = await workspace.git('push', 'origin', 'HEAD:warren/x');
      expect(pushed.ok).toBe(false);
      expect(pushed.stderr).toContain('may only read the repository');
    }
  });

  it('takes the session’s own branch, then refuses to delete it or to rewrite it', async () => {
    const { session, workspace } = await aWorkingSession(org, repository);
    await workspace.commit({ 'a.txt': 'a' });
    expect((await workspace.git('push', '-u', 'origin', 'HEAD')).stderr).toContain(session.branch);
    const [change] = await changes();
    expect(change).toMatchObject({ sessionId: session.id, number: 1, state: 'open' });

    const deleted = await workspace.git('push', 'origin', '--delete', session.branch);
    expect(deleted.ok).toBe(false);
    expect(deleted.stderr).toContain('not by a push');

    await workspace.git('commit', '-q', '--amend', '-m', 'Rewritten');
    const forced = await workspace.git('push', '--force', 'origin', 'HEAD');
    expect(forced.ok).toBe(false);
    expect(forced.stderr).toContain('not a fast-forward');
  });

  it('refuses a push from a session that is stopping', async () => {
    const { workspace } = await aWorkingSession(org, repository, { state: 'stopping' });
    await workspace.commit({ 'b.txt': 'b' });
    const pushed = await workspace.git('push', 'origin', 'HEAD');
    expect(pushed.ok).toBe(false);
    expect(pushed.stderr).toContain('The session has ended');
  });

  it('takes a body larger than git’s buffer, compressed and chunked', async () => {
    const { session, workspace } = await aWorkingSession(org, repository);
    const lines = Array.from({ length: 300_000 }, (_, at) => `${at} ${(at * 2654435761) % 4294967296}`);
    await workspace.commit({ 'large.txt': lines.join('\n') });
    const pushed = await workspace.git('-c', 'http.postBuffer=65536', 'push', 'origin', 'HEAD');
    expect(pushed).toMatchObject({ ok: true });
    const again = await clone(org, repository, (await aMachine(org, repository.id, { purpose: 'check' })).authorization);
    await again.git('checkout', '-q', session.branch);
    expect((await stat(`${again.dir}/large.txt`)).size).toBe(lines.join('\n').length);
  });

  it('clones an empty repository with git’s own warning', async () => {
    const empty = await aSample(org, 'Empty', 'empty');
    const { authorization } = await aMachine(org, empty.id, { purpose: 'template' });
    const workspace = await clone(org, empty, authorization);
    expect(workspace).toMatchObject({ ok: true, stderr: expect.stringContaining('empty repository') });
  });
});
