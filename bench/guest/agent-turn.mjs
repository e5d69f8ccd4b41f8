// A real agent in the middle of a turn, in a guest that reaches nothing: this program is the client that speaks ACP with it, and
// the model that it asks. The model is a script. It has the agent start a program in a terminal, begins an answer and leaves it
// half said; given a line, it ends the answer, has the agent type the line into that terminal, and repeats what came out of it.
//   node agent-turn.mjs DIR   DIR/line is a pipe: the line; DIR/half is there once the turn is half done; DIR/said once it has ended
import { execFileSync, spawn } from 'node:child_process';
import { appendFileSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';

const [dir] = process.argv.slice(2);
const home = `${dir}/home`;
mkdirSync(`${home}/.codex`, { recursive: true });
execFileSync('mkfifo', [`${dir}/line`]);
const line = readFile(`${dir}/line`, 'utf8').then((text) => text.trim());

function put(name, text) {
  writeFileSync(`${dir}/${name}.new`, text);
  renameSync(`${dir}/${name}.new`, `${dir}/${name}`);
}

const TYPED = 'stty -echo; read -r typed; echo "It was typed: $typed."';
const call = (name, args) => ({
  id: 'fc',
  type: 'function_call',
  call_id: `call_${name}`,
  name,
  arguments: JSON.stringify(args),
});
const message = (text) => ({
  id: 'msg',
  type: 'message',
  role: 'assistant',
  content: [{ type: 'output_text', text, annotations: [] }],
});

/** What the model says next: items, and of a message its pieces. @param outputs what the agent's tools have printed, in order */
async function* turn(outputs) {
  if (outputs.length === 0) return yield { item: call('exec_command', { cmd: TYPED, tty: true, yield_time_ms: 1000 }) };
  if (outputs.length > 1) return yield* said([`The terminal said: ${/It was typed: .*/.exec(outputs.at(-1))?.[0]}`]);
  yield* said(['Half of this ', async () => `was said before ${await line}. `]);
  const session = Number(/session ID (\d+)/.exec(outputs[0])[1]);
  yield { item: call('write_stdin', { session_id: session, chars: `${await line}\n`, yield_time_ms: 5000 }) };
}

async function* said(pieces) {
  let text = '';
  for (const piece of pieces) {
    const delta = typeof piece === 'string' ? piece : await piece();
    text += delta;
    yield { begun: message(''), delta };
  }
  yield { item: message(text) };
}

const model = createServer(async (request, response) => {
  const { input } = JSON.parse(Buffer.concat(await request.toArray()).toString());
  const outputs = input.filter(({ type }) => type === 'function_call_output').map(({ output }) => String(output));
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  const send = (type, rest) => response.write(`event: ${type}\ndata: ${JSON.stringify({ type, output_index: 0, ...rest })}\n\n`);
  send('response.created', { response: { id: 'resp' } });
  let isBegun = false;
  for await (const { begun, delta, item } of turn(outputs)) {
    if (!isBegun) send('response.output_item.added', { item: begun ?? item });
    isBegun = !item;
    if (item) send('response.output_item.done', { item });
    else send('response.output_text.delta', { item_id: 'msg', content_index: 0, delta });
  }
  send('response.completed', { response: { id: 'resp', usage: { input_tokens: 1, output_tokens: 1, total_tokens: 2 } } });
  response.end();
});
await new Promise((resolve) => model.listen(0, '127.0.0.1', resolve));

writeFileSync(
  `${home}/.codex/config.toml`,
  `model = "scripted"
model_provider = "scripted"
approval_policy = "never"
sandbox_mode = "danger-full-access"
check_for_update_on_startup = false
[analytics]
enabled = false
[model_providers.scripted]
name = "scripted"
base_url = "http://127.0.0.1:${model.address().port}/v1"
wire_api = "responses"
stream_idle_timeout_ms = 86400000
`,
);

const env = { PATH: process.env.PATH, HOME: home, RUST_LOG: 'error' };
const agent = spawn('codex-acp', [], { env, cwd: dir, stdio: ['pipe', 'pipe', 'inherit'] });
const waiting = new Map();
let answer = '';
createInterface({ input: agent.stdout }).on('line', (text) => {
  appendFileSync(`${dir}/frames`, `${text}\n`);
  const { id, method, result, error, params } = JSON.parse(text);
  if (!method && id !== undefined) return waiting.get(id)?.({ result, error });
  if (params?.update?.sessionUpdate !== 'agent_message_chunk') return;
  answer += params.update.content.text;
  // The half is the agent's once it has passed it on.
  if (answer.endsWith('Half of this ')) put('half', `${agent.pid}\n`);
});
const ask = (method, params) =>
  new Promise((resolve, reject) => {
    const id = waiting.size + 1;
    waiting.set(id, ({ result, error }) => (error ? reject(new Error(`${method}: ${JSON.stringify(error)}`)) : resolve(result)));
    agent.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', id, method, params })}\n`);
  });

await ask('initialize', { protocolVersion: 1, clientCapabilities: {} });
const { sessionId } = await ask('session/new', { cwd: dir, mcpServers: [] });
const { stopReason } = await ask('session/prompt', {
  sessionId,
  prompt: [{ type: 'text', text: 'Begin, and wait for a line.' }],
});
put('said', `${stopReason}: ${answer.slice(answer.indexOf('Half'))}\n`);
agent.kill();
model.closeAllConnections();
model.close();
