import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Prisma, Repository } from '../../prisma/generated/client.ts';
import { createToken, listTokens, revokeToken } from '../auth/access-tokens.ts';
import { createDb, withOrg } from '../db.ts';
import { createLogger } from '../logger.ts';
import { createRepository } from '../repositories/create-repository.ts';
import { openTestDatabase } from '../testing/database.ts';
import { aMember, anOrg, type TestOrg } from '../testing/fixtures.ts';
import { handlePersonGit } from './handle-person-git.ts';

/* People's own git, the real program, against the public handler. */
const { db } = openTestDatabase();
const run = promisify(execFile);
let now = new Date();
const deps = { db, forgeDir: '', clock: { now: () => now }, logger: createLogger({ service: 'test', level: 'silent' }) };
const server = createServer((req, res) => void handlePersonGit(deps, req, res));
let origin = '';
let org: TestOrg;

beforeAll(async () => {
  deps.forgeDir = await mkdtemp(path.join(tmpdir(), 'warren-forge-'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  org = await anOrg(db);
});
afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await rm(deps.forgeDir, { recursive: true, force: true });
});

const aRepository = (name: string, content: 'sample' | 'empty' = 'sample', of = org) =>
  createRepository(deps, { orgId: of.orgId, userId: of.ownerId, name, content });
const aToken = async (userId: string, access: 'read' | 'write' = 'write') =>
  (await createToken(db, { userId, name: 'laptop', access, days: 7, now })).token;
const setPolicy = (policy: Prisma.InputJsonObject, of = org) =>
  withOrg(db, of.orgId, (tx) => tx.organization.update({ where: { id: of.orgId }, data: { policy } }));

type Ran = { ok: boolean; text: string };

/** git in a directory of its own, signed in with this token as a person would be by a credential helper. */
async function aGit(token: string | null) {
  const dir = await mkdtemp(path.join(deps.forgeDir, 'person-'));
  const login = token ? ['-c', `credential.helper=!f() { echo username=ada; echo password=${token}; }; f`] : [];
  const identity = ['-c', 'user.name=Ada', '-c', 'user.email=ada@example.com', '-c', 'init.defaultBranch=main'];
  const env = {
    PATH: process.env.PATH,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_TERMINAL_PROMPT: '0',
    LC_ALL: 'C',
  };
  const git = (...args: string[]): Promise<Ran> =>
    run('git', [...login, ...identity, ...args], { cwd: dir, env: env as unknown as NodeJS.ProcessEnv }).then(
      ({ stdout, stderr }) => ({ ok: true, text: stdout + stderr }),
      (error: { stdout?: string; stderr?: string }) => ({ ok: false, text: `${error.stdout ?? ''}${error.stderr ?? ''}` }),
    );
  const commit = async (file: string, text = file) => {
    await mkdir(path.dirname(path.join(dir, file)), { recursive: true });
    await writeFile(path.join(dir, file), text);
    await git('add', '-A');
    await git('commit', '-q', '-m', `Add ${file}`);
  };
  return { git, commit, dir };
}

const urlOf = (repository: Repository, of = org) => `${origin}/git/${of.slug}/${repository.slug}.git`;

/** A clone of the repository by this person. */
async function aClone(repository: Repository, token: string) {
  const work = await aGit(token);
  const cloned = await work.git('clone', '-q', urlOf(repository), '.');
  return { ...work, cloned };
}

describe('who gets in', () => {
  it('asks for a token, and says no more to a wrong, a revoked and an expired one', async () => {
    const repository = await aRepository('Doors');
    const info = `${urlOf(repository)}/info/refs?service=git-upload-pack`;
    const get = (token?: string) =>
      fetch(info, { headers: token ? { authorization: `Basic ${Buffer.from(`x:${token}`).toString('base64')}` } : {} });
    const asked = await get();
    expect([asked.status, asked.headers.get('www-authenticate')]).toEqual([401, 'Basic realm="Warren", charset="UTF-8"']);
    expect((await get('wrn_nothing')).status).toBe(401);
    const token = await aToken(org.ownerId);
    expect((await get(token)).status).toBe(200);
    const [newest] = await listTokens(db, org.ownerId);
    expect(newest).toMatchObject({ name: 'laptop', lastUsedAt: now });
    const before = now;
    now = new Date(now.getTime() + 8 * 86_400_000);
    expect((await get(token)).status).toBe(401);
    now = before;
    await revokeToken(db, { userId: org.ownerId, tokenId: newest!.id });
    expect((await get(token)).status).toBe(401);
  });

  it('answers an outsider as if there were no such repository', async () => {
    const repository = await aRepository('Secret');
    const outsider = await anOrg(db, { name: 'Other' });
    const token = await aToken(outsider.ownerId);
    const theirs = await (await aGit(token)).git('ls-remote', urlOf(repository));
    const nothing = await (await aGit(token)).git('ls-remote', `${origin}/git/${org.slug}/nothing.git`);
    expect(theirs.ok).toBe(false);
    expect(theirs.text.replaceAll('secret', 'nothing')).toBe(nothing.text);
    expect(theirs.text).toContain('does not exist, or you have no access to it');
  });

  it('stops guessing from one address, whatever the client says of where it comes from', async () => {
    const wrong = `Basic ${Buffer.from(`x:wrn_${'a'.repeat(43)}`).toString('base64')}`;
    const statuses = new Set<number>();
    for (let attempt = 0; attempt < 110; attempt++) {
      const { status } = await fetch(`${origin}/git/a/b.git/info/refs?service=git-upload-pack`, {
        headers: { authorization: wrong, 'x-forwarded-for': `10.0.0.${attempt}, 192.0.2.1` },
      });
      statuses.add(status);
    }
    expect([...statuses]).toEqual([401, 429]);
  });

  it('says that the database is away', async () => {
    const away = createDb('postgresql://nobody:nothing@127.0.0.1:1/none');
    const waiting = createServer((req, res) => void handlePersonGit({ ...deps, db: away }, req, res)).listen(0, '127.0.0.1');
    await once(waiting, 'listening');
    const { port } = waiting.address() as AddressInfo;
    const authorization = `Basic ${Buffer.from(`x:wrn_${'a'.repeat(43)}`).toString('base64')}`;
    const url = `http://127.0.0.1:${port}/git/a/b.git/info/refs?service=git-upload-pack`;
    const answer = await fetch(url, { headers: { authorization } });
    expect([answer.status, await answer.text()]).toEqual([503, expect.stringContaining('database does not answer')]);
    await Promise.all([away.close(), waiting[Symbol.asyncDispose]()]);
  });

  it('lets nobody revoke another person’s token', async () => {
    const member = await aMember(db, org.orgId, 'developer');
    await aToken(member);
    const [token] = await listTokens(db, member);
    await expect(revokeToken(db, { userId: org.ownerId, tokenId: token!.id })).rejects.toMatchObject({ code: 'not_found' });
  });
});

describe('what a push may do', () => {
  it('fills an empty repository, which gets its template, and is in the audit log', async () => {
    const repository = await aRepository('Fresh', 'empty');
    const { git, commit } = await aGit(await aToken(org.ownerId));
    await git('init', '-q');
    await commit('README.md');
    await git('remote', 'add', 'origin', urlOf(repository));
    expect(await git('push', '-q', '-u', 'origin', 'main')).toMatchObject({ ok: true });
    const head = (await git('rev-parse', 'HEAD')).text.trim();
    const { audit, templates } = await withOrg(db, org.orgId, async (tx) => ({
      audit: await tx.auditEntry.findMany({ where: { action: 'git.pushed', target: repository.id } }),
      templates: await tx.template.findMany({ where: { repositoryId: repository.id } }),
    }));
    expect(audit).toMatchObject([
      { actor: org.ownerId, details: { refs: [{ ref: 'refs/heads/main', from: null, to: head }], count: 1 } },
    ]);
    expect(templates).toMatchObject([{ state: 'building', commitSha: head }]);
    const clone = await aClone(repository, await aToken(org.ownerId, 'read'));
    expect((await clone.git('rev-parse', 'HEAD')).text.trim()).toBe(head);
  });

  it('takes branches and new tags, and the default branch only forward', async () => {
    const repository = await aRepository('Busy');
    const { git, commit } = await aClone(repository, await aToken(await aMember(db, org.orgId, 'developer')));
    await commit('a.txt');
    expect((await git('push', 'origin', 'HEAD:main', 'HEAD:topic', 'HEAD:refs/tags/v1')).ok).toBe(true);
    await git('commit', '-q', '--amend', '-m', 'Rewritten');
    const forced = await git('push', '--force', 'origin', 'HEAD:main');
    expect(forced).toMatchObject({ ok: false, text: expect.stringContaining('not a fast-forward') });
    expect((await git('push', '--force', 'origin', 'HEAD:topic')).ok).toBe(true);
    const tag = await git('push', '--force', 'origin', 'HEAD:refs/tags/v1');
    expect(tag).toMatchObject({ ok: false, text: expect.stringContaining('neither moved nor deleted') });
    const gone = await git('push', 'origin', '--delete', 'main');
    expect(gone).toMatchObject({ ok: false, text: expect.stringContaining('cannot be deleted') });
    expect((await git('push', 'origin', '--delete', 'topic')).ok).toBe(true);
  });

  it('refuses sessions’ branches and refs of ours', async () => {
    const { git, commit } = await aClone(await aRepository('Shared'), await aToken(org.ownerId));
    await commit('a.txt');
    const session = await git('push', 'origin', 'HEAD:refs/heads/warren/ses_x');
    expect(session).toMatchObject({ ok: false, text: expect.stringContaining('belongs to a session') });
    const kept = await git('push', 'origin', 'HEAD:refs/warren/x');
    expect(kept).toMatchObject({ ok: false, text: expect.stringContaining('only branches and tags') });
  });

  it('follows role, policy and token', async () => {
    const globex = await anOrg(db, { name: 'Globex' });
    const repository = await aRepository('Ruled', 'sample', globex);
    const pushBy = async (token: string, target: string) => {
      const work = await aGit(token);
      await work.git('clone', '-q', urlOf(repository, globex), '.');
      await work.commit(`${target}.txt`, token);
      return work.git('push', 'origin', `HEAD:refs/heads/${target}`);
    };
    const viewer = await aToken(await aMember(db, globex.orgId, 'viewer'));
    expect((await pushBy(viewer, 'topic')).text).toContain('This needs the role developer; yours is viewer.');
    expect((await pushBy(await aToken(globex.ownerId, 'read'), 'topic')).text).toContain('This token may only read');
    const developer = await aToken(await aMember(db, globex.orgId, 'developer'));
    await setPolicy({ defaultBranchPush: 'admin' }, globex);
    expect((await pushBy(developer, 'main')).text).toContain('this needs the role admin; yours is developer.');
    expect((await pushBy(developer, 'topic')).ok).toBe(true);
    await setPolicy({ requirePassingChecks: true }, globex);
    expect((await pushBy(await aToken(globex.ownerId), 'main')).text).toContain('merges only what passed its checks');
  });
});
