import { beforeAll, expect, it } from 'vitest';
import { withOrg } from '../../db.ts';
import { openTestDatabase } from '../../testing/database.ts';
import { anOrg, aSession, type TestOrg } from '../../testing/fixtures.ts';
import { setUpForge } from '../../testing/forge.ts';
import { DEMO_MARK } from './decide.ts';

const database = openTestDatabase();
const { forge, aSample, aMachine } = setUpForge(database);
let org: TestOrg;
let sessionId: string;
let authorization: string;

beforeAll(async () => {
  org = await anOrg(database.db);
  const repository = await aSample(org);
  const session = await aSession(database.db, org, { repositoryId: repository.id });
  sessionId = session.id;
  ({ authorization } = await aMachine(org, repository.id, { purpose: 'session', sessionId, branch: session.branch }));
});

const ask = (stream: boolean) =>
  fetch(`${forge.url}/models/v1/responses`, {
    method: 'POST',
    headers: { authorization, 'content-type': 'application/json' },
    body: JSON.stringify({
      model: 'warren-demo',
      stream,
      input: 'Make the tests pass.',
      tools: [{ type: 'function', name: 'exec_command' }],
    }),
  });

it('the scripted model streams the events of the Responses API, in order, and is counted', async () => {
  const answer = await ask(true);
  expect(answer.headers.get('content-type')).toBe('text/event-stream');
  const blocks = (await answer.text()).trimEnd().split('\n\n');
  const events = blocks.map((block) => JSON.parse(block.split('data: ')[1]!) as Record<string, unknown>);
  expect(blocks.map((block) => block.split('\n')[0])).toEqual(events.map(({ type }) => `event: ${type}`));
  expect(events.map(({ sequence_number }) => sequence_number)).toEqual(events.map((_, at) => at));
  const types = events.map(({ type }) => String(type)).filter((type, at, all) => type !== all[at - 1]);
  expect(types).toEqual([
    'response.created',
    'response.in_progress',
    'response.output_item.added',
    'response.content_part.added',
    'response.output_text.delta',
    'response.output_text.done',
    'response.content_part.done',
    'response.output_item.done',
    'response.output_item.added',
    'response.function_call_arguments.delta',
    'response.function_call_arguments.done',
    'response.output_item.done',
    'response.completed',
  ]);
  const text = events.filter(({ type }) => type === 'response.output_text.delta').map(({ delta }) => delta);
  const last = events.at(-1) as {
    response: { model: string; output: { content?: { text: string }[] }[]; usage: { output_tokens: number } };
  };
  expect(text.join('')).toBe(last.response.output[0]!.content![0]!.text);
  expect(text.join('').startsWith(DEMO_MARK)).toBe(true);
  expect(last.response.model).toBe('warren-demo');
  const counted = () => withOrg(database.db, org.orgId, (tx) => tx.usageEntry.findMany({ where: { sessionId } }));
  await expect
    .poll(counted)
    .toMatchObject([{ provider: 'demo', model: 'warren-demo', outputTokens: last.response.usage.output_tokens, status: 200 }]);
});

it('answers whole when no stream is asked for', async () => {
  expect(await (await ask(false)).json()).toMatchObject({
    object: 'response',
    status: 'completed',
    output: [{ type: 'message' }, { type: 'function_call' }],
  });
});
