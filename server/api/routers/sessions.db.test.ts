import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { withOrg } from '../../db.ts';
import type { HostClient } from '../../hosts/host-client.ts';
import { HostError } from '../../hosts/host-error.ts';
import { newId } from '../../ids.ts';
import { createRepository } from '../../repositories/create-repository.ts';
import { appendEvent, updateEvent, writeTimeline } from '../../sessions/append-event.ts';
import { SESSION_STATES, type SessionState } from '../../sessions/states.ts';
import { callerFor } from '../../testing/caller.ts';
import { openTestDatabase } from '../../testing/database.ts';
import { anOrg, aRepository, aSession, jobsOf, type TestOrg } from '../../testing/fixtures.ts';
import { testServices } from '../../testing/services.ts';

const database = openTestDatabase();
const { db, systemDb } = database;
const disk = new Map<string, Buffer>();
const host = {
  readFile: async (_: string, file: string) => {
    const bytes = disk.get(file);
    if (!bytes) throw new HostError({ code: 'not_found', message: 'no such file' });
    return bytes;
  },
  writeFile: async (_: string, file: string, bytes: Uint8Array) => void disk.set(file, Buffer.from(bytes)),
} as unknown as HostClient;

let forgeDir = '';
let org: TestOrg;
let api: ReturnType<typeof callerFor>;
beforeAll(async () => {
  forgeDir = await mkdtemp(path.join(tmpdir(), 'warren-forge-'));
  const services = testServices(database, { forgeDir, host });
  org = await anOrg(db);
  api = callerFor(services, org.ownerId);
  for (const [name, content] of [
    ['Shop', 'sample'],
    ['Bare', 'empty'],
  ] as const) {
    await createRepository(services, { orgId: org.orgId, userId: org.ownerId, name, content });
  }
});
afterAll(() => rm(forgeDir, { recursive: true, force: true }));

const inOrg = <T>(fn: Parameters<typeof withOrg<T>>[2]) => withOrg(db, org.orgId, fn);
const setPolicy = (policy: object) => inOrg((tx) => tx.organization.update({ where: { id: org.orgId }, data: { policy } }));

describe('sessions.create', () => {
  it('makes the session, its task, its timeline, its job and its audit entry', async () => {
    const { sessionId } = await api.sessions.create({ org: org.slug, repo: 'shop', prompt: 'Fix the failing test.\nThank you.' });
    const page = await api.sessions.get({ org: org.slug, sessionId });
    expect(page).toMatchObject({
      status: 'starting',
      session: { state: 'provisioning', title: 'Fix the failing test.', branch: `warren/${sessionId}`, scripted: true },
      repository: { slug: 'shop' },
      queued: [{ kind: 'task', state: 'queued' }],
      change: null,
      wakes: [],
    });
    expect(page.session.baseSha).toMatch(/^[0-9a-f]{40}$/);
    expect(page.session.deadlineAt).not.toBeNull();
    const { rows, rev } = await api.sessions.events({ org: org.slug, sessionId, afterRev: 0 });
    expect(rows.map((row) => row.event.kind)).toEqual(['message', 'transition']);
    expect(rev).toBe(2);
    expect(await jobsOf(systemDb, sessionId)).toMatchObject([{ name: 'drive-session', data: { orgId: org.orgId, sessionId } }]);
    const audit = await inOrg((tx) => tx.auditEntry.findMany({ where: { target: sessionId } }));
    expect(audit.map((entry) => entry.action)).toEqual(['session.created', 'session.transition']);
    expect(JSON.stringify(audit, (_, value) => (typeof value === 'bigint' ? String(value) : value))).not.toContain('Thank you');
    expect(await api.sessions.list({ org: org.slug, repo: 'shop' })).toMatchObject([{ id: sessionId, status: 'starting' }]);
  });

  it.each([
    ['an empty task', { repo: 'shop', prompt: ' \n' }, 'BAD_REQUEST', 'Say what is to be done.'],
    ['a task of 1 MiB', { repo: 'shop', prompt: 'x'.repeat(2 ** 20) }, 'BAD_REQUEST', /longer than 1 MB/],
    ['a task beyond the policy', { repo: 'shop', prompt: 'x'.repeat(100_001) }, 'FORBIDDEN', /101 kB; at most 100 kB/],
    ['a NUL character', { repo: 'shop', prompt: 'a\0b' }, 'BAD_REQUEST', /NUL/],
    ['an unknown repository', { repo: 'nope', prompt: 'x' }, 'NOT_FOUND', /repository does not exist/],
    ['a repository without commits', { repo: 'bare', prompt: 'x' }, 'BAD_REQUEST', /Bare has no commits on main yet/],
  ])('refuses %s and says why', async (_, input, code, message) => {
    const before = await inOrg((tx) => tx.session.count());
    const refused = api.sessions.create({ org: org.slug, ...input });
    await expect(refused).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
    expect(await inOrg((tx) => tx.session.count())).toBe(before);
  });

  it('refuses a model that the policy does not list', async () => {
    await setPolicy({ allowedModels: ['gpt-x'] });
    const refused = api.sessions.create({ org: org.slug, repo: 'shop', prompt: 'x' });
    await expect(refused).rejects.toMatchObject({ code: 'FORBIDDEN', message: expect.stringContaining('Allowed: gpt-x.') });
    await setPolicy({});
  });

  it('keeps to the limit of sessions also when several start at once', async () => {
    await inOrg((tx) => tx.session.updateMany({ data: { state: 'stopped' } }));
    await setPolicy({ maxConcurrentSessions: 2 });
    const start = () => api.sessions.create({ org: org.slug, repo: 'shop', prompt: 'x' });
    const results = await Promise.allSettled([start(), start(), start(), start()]);
    expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(2);
    await inOrg((tx) => tx.session.updateMany({ data: { state: 'stopped' } }));
    await setPolicy({});
  });
});

describe('what a person may ask of a session', () => {
  type Verb = 'suspend' | 'wake' | 'stop' | 'retry' | 'cancelTurn';
  // The state afterwards; null where the answer is a conflict.
  const EXPECTED: Record<SessionState, Record<Verb, SessionState | null>> = {
    created: { suspend: null, wake: 'created', stop: 'stopping', retry: null, cancelTurn: 'created' },
    provisioning: { suspend: null, wake: 'provisioning', stop: 'stopping', retry: null, cancelTurn: 'provisioning' },
    running: { suspend: 'suspending', wake: 'running', stop: 'stopping', retry: null, cancelTurn: 'running' },
    suspending: { suspend: 'suspending', wake: 'suspending', stop: 'stopping', retry: null, cancelTurn: 'suspending' },
    suspended: { suspend: 'suspended', wake: 'resuming', stop: 'stopping', retry: null, cancelTurn: 'suspended' },
    resuming: { suspend: null, wake: 'resuming', stop: 'stopping', retry: null, cancelTurn: 'resuming' },
    stopping: { suspend: null, wake: null, stop: 'stopping', retry: null, cancelTurn: 'stopping' },
    stopped: { suspend: null, wake: null, stop: 'stopped', retry: null, cancelTurn: 'stopped' },
    failed: { suspend: null, wake: null, stop: 'stopping', retry: 'resuming', cancelTurn: 'failed' },
  };
  const verbs = ['suspend', 'wake', 'stop', 'retry', 'cancelTurn'] as const;
  const grid = SESSION_STATES.flatMap((state) => verbs.map((verb) => ({ state, verb })));

  it.each(grid)('$verb while $state', async ({ state, verb }) => {
    await inOrg((tx) => tx.session.updateMany({ data: { state: 'stopped' } }));
    const { id: sessionId } = await aSession(db, org, { state, snapshotId: newId('snapshot') });
    const ask = api.sessions[verb]({ org: org.slug, sessionId });
    const expected = EXPECTED[state][verb];
    if (expected === null) await expect(ask).rejects.toMatchObject({ code: 'CONFLICT', cause: { details: { from: state } } });
    else await ask;
    const after = await inOrg((tx) => tx.session.findUniqueOrThrow({ where: { id: sessionId } }));
    expect(after.state).toBe(expected ?? state);
  });

  it('cancelling marks the turn under way, once', async () => {
    const { id: sessionId } = await aSession(db, org);
    const data = { id: newId('message'), orgId: org.orgId, sessionId, kind: 'message', text: 'x', state: 'delivered' } as const;
    await inOrg((tx) => tx.message.create({ data }));
    await api.sessions.cancelTurn({ org: org.slug, sessionId });
    const first = await inOrg((tx) => tx.message.findUniqueOrThrow({ where: { id: data.id } }));
    expect(first.cancelAt).not.toBeNull();
    await api.sessions.cancelTurn({ org: org.slug, sessionId });
    expect(await inOrg((tx) => tx.message.findUniqueOrThrow({ where: { id: data.id } }))).toEqual(first);
  });

  it('a message to a sleeping session wakes it, and one to an ended session is refused', async () => {
    const repositoryId = await aRepository(db, org.orgId, { slug: 'other' });
    const asleep = await aSession(db, org, { repositoryId, state: 'suspended', snapshotId: newId('snapshot') });
    await api.sessions.send({ org: org.slug, sessionId: asleep.id, text: 'One more thing.' });
    expect(await api.sessions.get({ org: org.slug, sessionId: asleep.id })).toMatchObject({
      status: 'waking',
      wakes: [{ cause: 'message', outcome: 'pending' }],
      queued: [{ kind: 'message', state: 'queued' }],
    });
    const ended = await aSession(db, org, { state: 'stopped' });
    const late = api.sessions.send({ org: org.slug, sessionId: ended.id, text: 'Hello?' });
    await expect(late).rejects.toMatchObject({ code: 'CONFLICT', message: expect.stringContaining('has ended') });
  });
});

describe('sessions.events', () => {
  it('gives what changed after a revision, so that a reader who merges by seq has everything', async () => {
    const { id: sessionId } = await aSession(db, org);
    const ref = { orgId: org.orgId, sessionId };
    const text = (value: string) => ({ kind: 'agent_text', text: value, thought: false }) as const;
    const first = await inOrg((tx) => appendEvent(tx, ref, text('Hel')));
    await inOrg((tx) => appendEvent(tx, ref, text('Second')));
    const before = await api.sessions.events({ org: org.slug, sessionId, afterRev: 0 });
    await inOrg((tx) => updateEvent(tx, ref, first.seq, text('Hello')));
    const after = await api.sessions.events({ org: org.slug, sessionId, afterRev: before.rev });
    expect(before.rows.map(({ seq, rev }) => ({ seq, rev }))).toEqual([
      { seq: 1, rev: 1 },
      { seq: 2, rev: 2 },
    ]);
    expect(after).toMatchObject({ rows: [{ seq: 1, rev: 3, event: { text: 'Hello' } }], rev: 3 });
  });

  it('comes in pieces of some megabytes, the next from where the last ended', async () => {
    const { id: sessionId } = await aSession(db, org);
    const event = { kind: 'agent_text', text: 'x'.repeat(50_000), thought: false } as const;
    await inOrg((tx) => writeTimeline(tx, { orgId: org.orgId, sessionId }, Array(500).fill({ event })));
    const seqs: number[] = [];
    let rev = 0;
    for (;;) {
      const reply = await api.sessions.events({ org: org.slug, sessionId, afterRev: rev });
      if (reply.rows.length === 0) break;
      expect(JSON.stringify(reply).length).toBeLessThan(20_000_000);
      seqs.push(...reply.rows.map(({ seq }) => seq));
      rev = reply.rev;
    }
    expect(seqs).toEqual(Array.from({ length: 500 }, (_, index) => index + 1));
  });

  it('has no gaps and no revision twice when many write at once', async () => {
    const { id: sessionId } = await aSession(db, org);
    const ref = { orgId: org.orgId, sessionId };
    const write = (text: string) => inOrg((tx) => appendEvent(tx, ref, { kind: 'agent_text', text, thought: false }));
    await Promise.all(Array.from({ length: 12 }, (_, index) => write(String(index))));
    const { rows } = await api.sessions.events({ org: org.slug, sessionId, afterRev: 0 });
    expect(rows.map((row) => row.seq)).toEqual(Array.from({ length: 12 }, (_, index) => index + 1));
    expect(new Set(rows.map((row) => row.rev)).size).toBe(12);
  });
});

describe('files', () => {
  const sha = (text: string) => createHash('sha256').update(text).digest('hex');

  async function anAwakeSession(): Promise<string> {
    const machineId = newId('machine');
    const { id } = await aSession(db, org, { machineId });
    const data = { id: machineId, orgId: org.orgId, hostId: newId('host'), purpose: 'session', sessionId: id, lease: 1 } as const;
    await inOrg((tx) => tx.machine.create({ data }));
    return id;
  }

  it('are read and written in the workspace', async () => {
    const target = { org: org.slug, sessionId: await anAwakeSession(), path: 'src/a.ts' };
    disk.set('/workspace/src/a.ts', Buffer.from('old'));
    expect(await api.sessions.readFile(target)).toEqual({ text: 'old', sha256: sha('old'), truncated: false, binary: false });
    expect(await api.sessions.writeFile({ ...target, text: 'new', expectedSha: sha('old') })).toEqual({ sha256: sha('new') });
    expect(disk.get('/workspace/src/a.ts')?.toString()).toBe('new');
  });

  it('are not overwritten when the agent has changed them meanwhile', async () => {
    const target = { org: org.slug, sessionId: await anAwakeSession(), path: 'b.ts' };
    disk.set('/workspace/b.ts', Buffer.from('the agent’s'));
    const write = api.sessions.writeFile({ ...target, text: 'mine', expectedSha: sha('older') });
    await expect(write).rejects.toMatchObject({ code: 'CONFLICT', message: expect.stringContaining('has changed') });
    expect(disk.get('/workspace/b.ts')?.toString()).toBe('the agent’s');
  });

  it.each(['../etc/passwd', 'a/../../etc', '/../etc'])('outside the workspace are refused: %s', async (file) => {
    const read = api.sessions.readFile({ org: org.slug, sessionId: await anAwakeSession(), path: file });
    await expect(read).rejects.toMatchObject({ code: 'BAD_REQUEST' });
  });

  it('that are not there, are binary, or whose machine sleeps, are told apart', async () => {
    const sessionId = await anAwakeSession();
    const missing = api.sessions.readFile({ org: org.slug, sessionId, path: 'missing' });
    await expect(missing).rejects.toMatchObject({ code: 'NOT_FOUND', message: 'There is no such file.' });
    disk.set('/workspace/logo.png', Buffer.from([1, 0, 2]));
    expect(await api.sessions.readFile({ org: org.slug, sessionId, path: 'logo.png' })).toMatchObject({ binary: true, text: '' });
    const asleep = await aSession(db, org, { state: 'suspended' });
    const sleeping = api.sessions.readFile({ org: org.slug, sessionId: asleep.id, path: 'a' });
    await expect(sleeping).rejects.toMatchObject({ code: 'PRECONDITION_FAILED' });
    const worktree = { diff: 'd', truncated: false, files: [], headSha: 'a', capturedAt: '2026-01-01T00:00:00.000Z' };
    await inOrg((tx) => tx.session.update({ where: { id: asleep.id }, data: { worktree } }));
    expect(await api.sessions.worktree({ org: org.slug, sessionId: asleep.id })).toEqual({ live: false, worktree });
    expect((await api.egress.log({ org: org.slug, sessionId: asleep.id })).rows).toEqual([]);
  });
});
