import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { TRPCError } from '@trpc/server';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { repositoryDir } from '../forge/layout.ts';
import { findCommit } from '../repositories/bare-repository.ts';
import { createRepository } from '../repositories/create-repository.ts';
import { callerFor } from '../testing/caller.ts';
import { openTestDatabase } from '../testing/database.ts';
import { aMember, anOrg, aReviewedChange, aSession } from '../testing/fixtures.ts';
import { testServices } from '../testing/services.ts';
import { PROCEDURES_WITHOUT_ORG, procedureSamples, QUERIES_ABOVE_VIEWER } from './procedure-samples.ts';
import { appRouter } from './root.ts';

/*
 * Every procedure there is, called by everybody who may not. The list comes from the router itself: a new procedure is
 * covered by being there, and fails here until it has a sample.
 */
const database = openTestDatabase();
const forgeDir = mkdtempSync(path.join(tmpdir(), 'warren-forge-'));
const services = testServices(database, { forgeDir });
afterAll(() => rmSync(forgeDir, { recursive: true, force: true }));

type Procedure = { path: string; type: 'query' | 'mutation' | 'subscription' };
const registered = appRouter._def.procedures as unknown as Record<string, { _def: { type: Procedure['type'] } }>;
const procedures: Procedure[] = Object.entries(registered).map(([path, { _def }]) => ({ path, type: _def.type }));
const ofOrg = procedures.filter(({ path }) => !(path in PROCEDURES_WITHOUT_ORG));
const mutations = ofOrg.filter(({ type }) => type === 'mutation');
const queries = ofOrg.filter(({ type }) => type === 'query');

let samples: Record<string, Record<string, Record<string, unknown>>>;
const people = { viewer: '', outsider: '' };
let outsidersOrg = '';

beforeAll(async () => {
  const { db } = database;
  const org = await anOrg(db);
  const repository = await createRepository(services, {
    orgId: org.orgId,
    userId: org.ownerId,
    name: 'Sample',
    content: 'sample',
  });
  const session = await aSession(db, org, { repositoryId: repository.id });
  const reviewed = await aReviewedChange(
    db,
    session,
    await findCommit(repositoryDir(forgeDir, org.orgId, repository.id), 'main'),
  );
  people.viewer = await aMember(db, org.orgId, 'viewer');
  const other = await anOrg(db, { name: 'Other' });
  people.outsider = other.ownerId;
  outsidersOrg = other.slug;
  samples = procedureSamples({ org: org.slug, repo: 'sample', sessionId: session.id, ...reviewed }) as unknown as typeof samples;
});

function sampleOf(path: string): Record<string, unknown> {
  const [router = '', name = ''] = path.split('.');
  const sample = samples[router]?.[name];
  if (!sample) throw new Error(`${path} has no sample: add one to procedure-samples.ts`);
  return sample;
}

/** How the call ends: tRPC's error code, or `ok`. */
async function outcome(path: string, userId: string | null, input?: Record<string, unknown>): Promise<string> {
  const [router = '', name = ''] = path.split('.');
  const caller = callerFor(services, userId) as unknown as Record<string, Record<string, (input: unknown) => Promise<unknown>>>;
  return caller[router]![name]!(input).then(
    () => 'ok',
    (err) => (err instanceof TRPCError ? err.code : String(err)),
  );
}

it('the router has the procedures this suite is about', () => {
  expect(ofOrg.length).toBeGreaterThan(10);
  expect(procedures.map(({ path }) => path)).toEqual(expect.arrayContaining(Object.keys(PROCEDURES_WITHOUT_ORG)));
});

describe('signed out', () => {
  const needSignIn = procedures.filter(({ path }) => PROCEDURES_WITHOUT_ORG[path] !== 'public');
  it.each(needSignIn)('$path answers UNAUTHORIZED', async ({ path }) => {
    const input = path in PROCEDURES_WITHOUT_ORG ? undefined : sampleOf(path);
    expect(await outcome(path, null, input)).toBe('UNAUTHORIZED');
  });
});

describe('an outsider', () => {
  it.each(ofOrg)('gets NOT_FOUND from $path', async ({ path }) => {
    expect(await outcome(path, people.outsider, sampleOf(path))).toBe('NOT_FOUND');
  });

  it.each(ofOrg)('gets from $path the same for an organization that does not exist', async ({ path }) => {
    expect(await outcome(path, people.outsider, { ...sampleOf(path), org: 'no-such-org' })).toBe('NOT_FOUND');
  });

  const aboutSomething = ofOrg.filter(({ path }) => refersToSomething(path));
  it.each(aboutSomething)(
    'gets NOT_FOUND from $path for another organization’s things under their own name',
    async ({ path }) => {
      expect(await outcome(path, people.outsider, { ...sampleOf(path), org: outsidersOrg })).toBe('NOT_FOUND');
    },
  );
});

describe('a viewer', () => {
  it.each(mutations)('gets FORBIDDEN from $path', async ({ path }) => {
    expect(await outcome(path, people.viewer, sampleOf(path))).toBe('FORBIDDEN');
  });

  it.each(queries)('may read $path, unless it is for administrators', async ({ path }) => {
    const answer = await outcome(path, people.viewer, sampleOf(path));
    if (QUERIES_ABOVE_VIEWER.has(path)) expect(answer).toBe('FORBIDDEN');
    else expect(['FORBIDDEN', 'UNAUTHORIZED', 'INTERNAL_SERVER_ERROR']).not.toContain(answer);
  });
});

const PLAIN_FIELDS = new Set(['org', 'name', 'content', 'state', 'rule', 'secret']);
const noIds = { templateId: 't', change: { number: 1, headSha: 'h' }, threadId: 't', checkId: 'c' };

/** True when the sample names something inside the organization, such as a session. */
function refersToSomething(path: string): boolean {
  const placeholders = procedureSamples({ org: 'o', repo: 'r', sessionId: 's', ...noIds }) as unknown as typeof samples;
  const [router = '', name = ''] = path.split('.');
  return Object.keys(placeholders[router]?.[name] ?? {}).some((field) => !PLAIN_FIELDS.has(field));
}
