import superjson from 'superjson';
import { beforeAll, describe, expect, it } from 'vitest';
import { handlePasswordSignIn } from '../auth/handle-password-sign-in.ts';
import { SIGN_IN_LIMIT } from '../auth/rate-limit.ts';
import { createDb } from '../db.ts';
import { signUp } from '../orgs/sign-up.ts';
import { openTestDatabase } from '../testing/database.ts';
import { TEST_URL, testServices } from '../testing/services.ts';
import { handleTrpc } from './handler.ts';

const database = openTestDatabase();
let now = new Date();
const services = testServices(database, { clock: { now: () => now } });
const PASSWORD = 'correct horse battery';

beforeAll(async () => {
  await signUp(database.db, { email: 'ann@example.com', password: PASSWORD, name: 'Ann', orgName: 'Acme' });
});

type Answer = {
  status: number;
  body: { error?: { json?: { message: string; data: Record<string, unknown> }; message?: string } };
};

async function call(
  path: string,
  { input, headers = {} }: { input?: unknown; headers?: Record<string, string> },
): Promise<Answer> {
  const url = `${TEST_URL}/api/trpc/${path}`;
  const body = input === undefined ? undefined : JSON.stringify(superjson.serialize(input));
  const request = new Request(url, {
    method: body ? 'POST' : 'GET',
    body,
    headers: { 'content-type': 'application/json', origin: TEST_URL, ...headers },
  });
  const response = await handleTrpc(services, request);
  return { status: response.status, body: (await response.json()) as Answer['body'] };
}

async function signIn(email: string, password: string, headers: Record<string, string> = {}): Promise<Response> {
  const request = new Request(`${TEST_URL}/api/auth/password`, {
    method: 'POST',
    body: JSON.stringify({ email, password }),
    headers: { origin: TEST_URL, 'x-forwarded-for': '192.0.2.1', ...headers },
  });
  return handlePasswordSignIn(services, request);
}

/** A request in chunks of no announced length, far more than anybody may send. */
function anEndlessRequest(path: string) {
  const chunk = new Uint8Array(64 * 1024).fill(32);
  let taken = 0;
  const body = new ReadableStream({
    pull: (controller) => {
      taken += chunk.length;
      if (taken > 64 * 1024 * 1024) controller.close();
      else controller.enqueue(chunk);
    },
  });
  const headers = { origin: TEST_URL, 'content-type': 'application/json', 'x-forwarded-for': '192.0.2.1' };
  const request = new Request(TEST_URL + path, { method: 'POST', body, headers, duplex: 'half' } as RequestInit);
  return { request, taken: () => taken };
}

const cookieOf = (response: Response) => response.headers.get('set-cookie')!.split(';')[0]!;

describe('signing in with a password', () => {
  it('sets a cookie that signs the person in, whatever the case of their address', async () => {
    const response = await signIn(' Ann@Example.com ', PASSWORD);
    expect(response.status).toBe(200);
    expect(response.headers.get('set-cookie')).toMatch(/HttpOnly; SameSite=Lax/);
    expect((await call('account.me', { headers: { cookie: cookieOf(response) } })).status).toBe(200);
  });

  it.each([
    ['a wrong password', 'ann@example.com', 'wrong'],
    ['an unknown address', 'bob@example.com', PASSWORD],
    ['something that is no address', 'ann', PASSWORD],
  ])('says the same for %s', async (_, email, password) => {
    const response = await signIn(email, password);
    expect(response.status).toBe(401);
    expect(await response.json()).toMatchObject({ error: { code: 'unauthorized', message: 'Email or password is wrong.' } });
    expect(response.headers.get('set-cookie')).toBeNull();
  });

  it('is refused from another site, with or without an Origin', async () => {
    expect((await signIn('ann@example.com', PASSWORD, { origin: 'https://evil.example' })).status).toBe(403);
    expect((await signIn('ann@example.com', PASSWORD, { origin: 'null' })).status).toBe(403);
  });

  it('stops guessing, for that address and person only, and for a while only', async () => {
    const from = { 'x-forwarded-for': '192.0.2.7' };
    const guesses = Array.from({ length: SIGN_IN_LIMIT.attemptsMax + 5 }, () => signIn('ann@example.com', 'guess', from));
    const statuses = (await Promise.all(guesses)).map((response) => response.status);
    expect(statuses.filter((status) => status === 401)).toHaveLength(SIGN_IN_LIMIT.attemptsMax);
    const refused = await signIn('ann@example.com', PASSWORD, from);
    expect(refused.status).toBe(429);
    expect(await refused.json()).toMatchObject({ error: { message: 'Too many attempts. Try again in 15 minutes.' } });
    expect((await signIn('ann@example.com', PASSWORD)).status).toBe(200);
    now = new Date(now.getTime() + SIGN_IN_LIMIT.windowMs);
    expect((await signIn('ann@example.com', PASSWORD, from)).status).toBe(200);
  });

  it('counts by what the proxy saw, whatever the client says before it', async () => {
    const guess = (index: number) => signIn('ann@example.com', 'guess', { 'x-forwarded-for': `10.0.0.${index}, 192.0.2.8` });
    const statuses = (await Promise.all(Array.from({ length: SIGN_IN_LIMIT.attemptsMax + 5 }, (_, index) => guess(index)))).map(
      (response) => response.status,
    );
    expect(statuses.filter((status) => status === 401)).toHaveLength(SIGN_IN_LIMIT.attemptsMax);
  });

  it('reads no more than a form holds', async () => {
    const { request, taken } = anEndlessRequest('/api/auth/password');
    const response = await handlePasswordSignIn(services, request);
    expect(response.status).toBe(413);
    expect(taken()).toBeLessThan(1024 * 1024);
  });

  it('ends with its row: a session that was signed out or has expired is nobody’s', async () => {
    const cookie = cookieOf(await signIn('ann@example.com', PASSWORD));
    await database.db.people.authSession.updateMany({ data: { expires: now } });
    expect((await call('account.me', { headers: { cookie } })).status).toBe(401);
  });
});

describe('the API over HTTP', () => {
  it('refuses changes that another site asked for, in a form the client can read', async () => {
    const answer = await call('account.signUp', { input: {}, headers: { origin: 'https://evil.example' } });
    expect(answer.status).toBe(403);
    expect(answer.body.error?.json).toMatchObject({ data: { appCode: 'forbidden' } });
  });

  it('reads no more than its cap, also of a body without a length', async () => {
    const { request, taken } = anEndlessRequest('/api/trpc/account.signUp');
    const response = await handleTrpc(services, request);
    expect(response.status).toBe(413);
    expect(await response.json()).toMatchObject({ error: { json: { data: { appCode: 'too_large' } } } });
    expect(taken()).toBeLessThan(5 * 1024 * 1024);
  });

  it('says in plain words what is wrong with an input', async () => {
    const answer = await call('account.signUp', { input: { email: 'x', password: 'short', name: 'A', orgName: 'B' } });
    expect(answer.status).toBe(400);
    expect(answer.body.error?.json?.message).toBe(
      'Enter an email address, such as name@example.com. Use at least 10 characters.',
    );
  });

  it('says that the database is away, before it knows who asks', async () => {
    const away = createDb('postgresql://nobody:nothing@127.0.0.1:1/none');
    const cookie = `next-auth.session-token=${'x'.repeat(40)}`;
    const request = new Request(`${TEST_URL}/api/trpc/account.me`, { headers: { cookie } });
    const response = await handleTrpc({ ...services, db: away }, request);
    await away.close();
    expect(response.status).toBe(503);
    expect(await response.json()).toMatchObject({ error: { json: { data: { appCode: 'unavailable', retryable: true } } } });
  });

  it('says that an address is taken', async () => {
    const answer = await call('account.signUp', {
      input: { email: 'ANN@example.com', password: PASSWORD, name: 'Ann', orgName: 'Acme' },
    });
    expect(answer.status).toBe(409);
    expect(answer.body.error?.json).toMatchObject({ data: { appCode: 'conflict', details: { field: 'email' } } });
  });

  it('hides what went wrong inside and gives a reference', async () => {
    const cookie = cookieOf(await signIn('ann@example.com', PASSWORD));
    // Not registered by createDb: whatever asks for an organization throws a plain error.
    const broken = { ...services, db: { ...services.db } };
    const request = new Request(`${TEST_URL}/api/trpc/orgs.list`, { headers: { cookie } });
    const response = await handleTrpc(broken, request);
    const text = await response.text();
    expect(response.status).toBe(500);
    expect(text).toMatch(/Something went wrong on our side. Tell your administrator this reference: req_/);
    expect(text).not.toMatch(/createDb|stack/);
  });
});

describe('signing up', () => {
  it('gives each organization an address of its own, also when two come at once', async () => {
    const people = ['one', 'two', 'three'].map((name) => ({
      email: `${name}@example.com`,
      password: PASSWORD,
      name,
      orgName: 'Blue Whale',
    }));
    const slugs = (await Promise.all(people.map((person) => signUp(database.db, person)))).map((result) => result.orgSlug);
    expect(new Set(slugs).size).toBe(3);
    expect(slugs).toContain('blue-whale');
  });

  it('makes one account when the same person sends the form twice at once', async () => {
    const person = { email: 'twice@example.com', password: PASSWORD, name: 'T', orgName: 'Twice' };
    const results = await Promise.allSettled([signUp(database.db, person), signUp(database.db, person)]);
    expect(results.map((result) => result.status).toSorted()).toEqual(['fulfilled', 'rejected']);
    expect(results.find((result) => result.status === 'rejected')).toMatchObject({ reason: { code: 'conflict' } });
  });
});
