import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Repository } from '../../prisma/generated/client.ts';
import { withOrg } from '../db.ts';
import { openTestDatabase } from '../testing/database.ts';
import { fillDisk } from '../testing/fill-disk.ts';
import { anOrg, aSession, type TestOrg } from '../testing/fixtures.ts';
import { setUpForge } from '../testing/forge.ts';
import type { ModelProvider } from './provider.ts';

const KEY = 'sk-the-key-of-the-installation';
const MODEL = 'gpt-test';
const database = openTestDatabase();
const { db } = database;
const models: ModelProvider = { kind: 'openai', baseUrl: '', apiKey: KEY, model: MODEL };
const { forge, aSample, aMachine } = setUpForge(database, { models, relay: { idleMsMax: 300 } });

let org: TestOrg;
let repository: Repository;
let sessionId: string;
let authorization: string;

/** What the provider does with the next request. */
let provider: (req: IncomingMessage, res: ServerResponse, body: string) => void;
const upstream = createServer(async (req, res) => {
  let body = '';
  for await (const chunk of req) body += chunk;
  provider(req, res, body);
});

beforeAll(async () => {
  upstream.listen(0, '127.0.0.1');
  await once(upstream, 'listening');
  models.baseUrl = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}/v1`;
  org = await anOrg(db);
  repository = await aSample(org);
});
afterAll(() => {
  upstream.closeAllConnections();
  upstream.close();
});
beforeEach(async () => {
  const session = await aSession(db, org, { repositoryId: repository.id });
  sessionId = session.id;
  ({ authorization } = await aMachine(org, repository.id, { purpose: 'session', sessionId, branch: session.branch }));
});

const call = (body: unknown, headers: Record<string, string> = {}) =>
  fetch(`${forge.url}/models/v1/responses`, {
    method: 'POST',
    headers: { authorization, 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
const streamed = () => call({ model: MODEL, stream: true, input: 'hello' });
const usage = () => withOrg(db, org.orgId, (tx) => tx.usageEntry.findMany({ where: { sessionId }, orderBy: { id: 'asc' } }));
const errors = async () => {
  const rows = await withOrg(db, org.orgId, (tx) => tx.sessionEvent.findMany({ where: { sessionId, kind: 'error' } }));
  return rows.map(({ data }) => (data as { detail: string }).detail);
};
const sse = (...events: unknown[]) => events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join('');
const completed = { type: 'response.completed', response: { usage: { input_tokens: 120, output_tokens: 7 } } };

describe('the model gateway', () => {
  it('adds the key, passes the stream on as it comes and counts its tokens', async () => {
    let seen: IncomingMessage['headers'] = {};
    let release = () => {};
    provider = (req, res) => {
      seen = req.headers;
      res.writeHead(200, { 'content-type': 'text/event-stream' });
      res.write(sse({ type: 'response.output_text.delta', delta: 'Hi' }));
      release = () => res.end(sse(completed));
    };
    const answer = await streamed();
    const reader = answer.body!.getReader();
    // The first event is here before the provider has sent the second.
    const first = new TextDecoder().decode((await reader.read()).value);
    expect(first).toContain('"delta":"Hi"');
    release();
    let rest = '';
    for (let part = await reader.read(); !part.done; part = await reader.read()) rest += new TextDecoder().decode(part.value);
    expect(rest).toContain('response.completed');
    expect(seen.authorization).toBe(`Bearer ${KEY}`);
    await expect
      .poll(usage)
      .toMatchObject([{ provider: 'openai', model: MODEL, inputTokens: 120, outputTokens: 7, status: 200 }]);
    expect(await errors()).toEqual([]);
  });

  it('counts the tokens of an answer that is not streamed', async () => {
    provider = (_req, res) => res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(completed.response));
    expect((await call({ model: MODEL, input: 'hello' })).status).toBe(200);
    await expect.poll(usage).toMatchObject([{ inputTokens: 120, outputTokens: 7 }]);
  });

  type Trouble = [name: string, act: typeof provider, status: number, says: RegExp];
  const trouble: Trouble[] = [
    [
      'a rate limit',
      (_req, res) => res.writeHead(429, { 'retry-after': '7' }).end('{"error":{"message":"Quota used up"}}'),
      429,
      /limiting requests.*429.*Quota used up/,
    ],
    ['a failure', (_req, res) => res.writeHead(500).end('<html>oops</html>'), 502, /failed \(500\)/],
    [
      'a refused key',
      (_req, res) => res.writeHead(401).end(`{"error":{"message":"Incorrect API key: ${KEY}"}}`),
      403,
      /OPENAI_API_KEY/,
    ],
    [
      'an HTML page',
      (_req, res) => res.writeHead(200, { 'content-type': 'text/html' }).end('<html>'),
      502,
      /cannot be read.*text\/html/,
    ],
    ['silence', () => {}, 504, /sent nothing/],
    ['a closed connection', (req) => req.socket.destroy(), 502, /could not be reached/],
  ];
  it.each(trouble)('turns %s into an error that can be read, and tells the session', async (_name, act, status, says) => {
    provider = act;
    const answer = await streamed();
    expect(answer.status).toBe(status);
    const { error } = (await answer.json()) as { error: { message: string; type: string; code: string } };
    expect(error.message).toMatch(says);
    expect(error.message).not.toContain(KEY);
    expect(error).toMatchObject({ type: expect.any(String), code: expect.any(String) });
    if (status === 429) expect(answer.headers.get('retry-after')).toBe('7');
    await expect.poll(errors).toEqual([error.message]);
    expect(await usage()).toMatchObject([{ status, inputTokens: 0 }]);
    // Agents try again; the timeline says it once.
    await streamed();
    await expect.poll(async () => (await usage()).map((entry) => entry.status)).toEqual([status, status]);
    expect((await errors()).length).toBe(1);
  });

  const broken: Trouble[] = [
    ['ends early', (_req, res) => res.end(sse({ type: 'response.created' })), 200, /ended before it was complete/],
    ['breaks off', (req, res) => res.write(sse({ type: 'response.created' }), () => req.socket.destroy()), 200, /broke off/],
    ['goes silent', (_req, res) => res.write(sse({ type: 'response.created' })), 200, /sent nothing/],
  ];
  it.each(broken)('ends a stream that %s with a failure event', async (_name, act, status, says) => {
    provider = (req, res, body) => {
      res.writeHead(200, { 'content-type': 'text/event-stream' });
      act(req, res, body);
    };
    const answer = await streamed();
    expect(answer.status).toBe(status);
    const text = await answer.text();
    expect(text).toContain('"type":"response.created"');
    const last = JSON.parse(text.trimEnd().split('data: ').at(-1)!) as { type: string; response: { error: { message: string } } };
    expect(last.type).toBe('response.failed');
    expect(last.response.error.message).toMatch(says);
    await expect.poll(errors).toEqual([last.response.error.message]);
  });

  it('refuses models the organization or the installation does not allow, without calling the provider', async () => {
    provider = () => expect.unreachable('the provider was called');
    const other = await call({ model: 'gpt-other', input: 'x' });
    expect(other.status).toBe(403);
    expect(await other.json()).toMatchObject({
      error: { code: 'model_not_served', message: expect.stringContaining('gpt-other') },
    });
    await withOrg(db, org.orgId, (tx) =>
      tx.organization.update({ where: { id: org.orgId }, data: { policy: { allowedModels: ['gpt-other'] } } }),
    );
    const refused = await call({ model: MODEL, input: 'x' });
    expect(refused.status).toBe(403);
    expect(await refused.json()).toMatchObject({ error: { code: 'model_not_allowed' } });
    expect((await call({ model: 'gpt-other', input: 'x' })).status).toBe(403);
    await withOrg(db, org.orgId, (tx) => tx.organization.update({ where: { id: org.orgId }, data: { policy: {} } }));
  });

  it('calls nobody who has to be paid while the database cannot take down what it costs', async () => {
    let called = false;
    provider = (_req, res) => {
      called = true;
      res.writeHead(200, { 'content-type': 'text/event-stream' }).end(sse(completed));
    };
    const disk = await fillDisk(database, 'UsageEntry');
    const answer = streamed();
    await expect.poll(disk.refusals, { timeout: 10_000 }).toBeGreaterThan(1);
    expect(called).toBe(false);
    await disk.giveBack();
    expect(await (await answer).text()).toContain('response.completed');
    await expect.poll(usage).toMatchObject([{ status: 200, inputTokens: 120, outputTokens: 7 }]);
  });

  it('takes down what a call cost, however long the database cannot', async () => {
    let disk: Awaited<ReturnType<typeof fillDisk>>;
    provider = async (_req, res) => {
      disk = await fillDisk(database, 'UsageEntry');
      res.writeHead(200, { 'content-type': 'text/event-stream' }).end(sse(completed));
    };
    // The agent does not wait for it.
    expect(await (await streamed()).text()).toContain('response.completed');
    await expect.poll(disk!.refusals, { timeout: 10_000 }).toBeGreaterThan(1);
    await disk!.giveBack();
    await expect.poll(usage, { timeout: 10_000 }).toMatchObject([{ status: 200, inputTokens: 120, outputTokens: 7 }]);
  });

  it('lists the model it serves', async () => {
    const listed = await fetch(`${forge.url}/models/v1/models`, { headers: { authorization } });
    expect(await listed.json()).toMatchObject({ object: 'list', data: [{ id: MODEL }] });
  });

  it.each([
    ['no JSON', 'garbage', 400],
    ['no model', '{"input":"x"}', 400],
    ['33 MiB', JSON.stringify({ model: MODEL, input: 'x'.repeat(33 * 1024 * 1024) }), 413],
  ])('answers a request with %s with a clear error', async (_name, body, status) => {
    const answer = await call(body);
    expect(answer.status).toBe(status);
    expect(((await answer.json()) as { error: { message: string } }).error.message.length).toBeGreaterThan(10);
  });

  it('serves no checks and no templates', async () => {
    const check = await aMachine(org, repository.id, { purpose: 'check' });
    expect((await call({ model: MODEL, input: 'x' }, { authorization: check.authorization })).status).toBe(403);
    expect((await call({ model: MODEL, input: 'x' }, { authorization: 'Bearer nonsense' })).status).toBe(401);
  });
});
