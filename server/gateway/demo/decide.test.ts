import { readFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { reviewMessage } from '../../changes/review-message.ts';
import { failureMessage } from '../../checks/failure-message.ts';
import { DEMO_MARK, decideReply } from './decide.ts';

/*
 * The script as a pure function, told what a machine would print. That it really repairs the sample repository, with
 * Codex in between, is seen in the machine tests.
 */
const SAMPLE = path.resolve('e2e/demo-repository');
const sampleFile = (name: string) => readFileSync(path.join(SAMPLE, name), 'utf8');
const EXEC = { type: 'function', name: 'exec_command' };

type Printed = { exitCode?: number; output: string };
type Turn = { said: string[]; commands: string[]; end: string };

const user = (text: string) => ({ type: 'message', role: 'user', content: [{ type: 'input_text', text }] });
const outputOf = ({ exitCode = 0, output }: Printed) =>
  `Chunk ID: 1\nWall time: 0.1 seconds\nProcess exited with code ${exitCode}\nOutput:\n${output}`;

/** Plays a turn: answers each command with what `machine` prints, until the model calls no more tools. */
function play(prompt: string, machine: (command: string, nth: number) => Printed): Turn {
  const input: unknown[] = [user('<environment_context>cwd</environment_context>'), user(prompt)];
  const turn: Turn = { said: [], commands: [], end: '' };
  for (let nth = 0; nth < 60; nth += 1) {
    const { text, call } = decideReply({ input, tools: [EXEC] });
    if (text) expect(text.startsWith(DEMO_MARK)).toBe(true);
    if (call?.type !== 'function_call') return { ...turn, end: text ?? '' };
    turn.said.push(text ?? '');
    const { cmd } = JSON.parse(call.arguments) as { cmd: string };
    turn.commands.push(cmd);
    input.push(
      { ...call, call_id: `call_${nth}` },
      { type: 'function_call_output', call_id: `call_${nth}`, output: outputOf(machine(cmd, nth)) },
    );
  }
  throw new Error('the script does not end');
}

const LOOK = `## warren/ses_1\npackage.json\nsrc/money.ts\n${sampleFile('package.json')}`;
const FAILING = `✖ cents below ten keep their leading zero (0.8ms)
✖ failing tests:

test at src/shop.test.ts:18:1
✖ cents below ten keep their leading zero (0.823450ms)
  AssertionError [ERR_ASSERTION]: Expected values to be strictly equal:

  '€6.5' !== '€6.05'
`;
const SOURCES = ['src/cart.ts', 'src/money.ts', 'src/shop.test.ts'].map((name) => `=== ${name}\n${sampleFile(name)}`).join('');
const TYPE_ERROR = `src/cart.ts(12,10): error TS18048: 'line' is possibly 'undefined'.\n`;

/** The sample's machine: tests fail until a patch was applied. */
function sampleMachine({ failing = FAILING, push = { output: 'pushed' } as Printed } = {}) {
  let patched = false;
  return (command: string): Printed => {
    if (command.startsWith('git status')) return { output: LOOK };
    if (command.startsWith('for f in')) return { output: SOURCES };
    if (command.startsWith("cat '")) return { output: sampleFile(command.slice(5, -1)) };
    if (command.startsWith('git apply')) {
      patched = true;
      return { output: ' 1 file changed' };
    }
    if (command === 'npm test') return patched || failing === '' ? { output: 'ok' } : { exitCode: 1, output: failing };
    if (command.includes('typecheck')) return patched ? { output: '' } : { exitCode: 2, output: TYPE_ERROR };
    return push;
  };
}

describe('a task', () => {
  it('runs the tests, reads the failure, edits the right line, runs them again and pushes', () => {
    const turn = play('Make the tests pass.', sampleMachine());
    expect(turn.commands.map((command) => command.split(' ').slice(0, 2).join(' '))).toEqual([
      'git status',
      'npm test',
      'for f',
      'git apply',
      'npm test',
      'git add',
    ]);
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is source text
    expect(turn.commands[3]).toContain("+  return `${sign}${SYMBOLS[currency]}${whole}.${String(rest).padStart(2, '0')}`;");
    expect(turn.commands[3]).toContain('--- a/src/money.ts');
    expect(turn.commands[5]).toContain('git push -u origin HEAD');
    expect(turn.end).toContain('I ran only the tests');
  });

  it.each([
    ['tests that pass', '', /nothing I know how to do/],
    ['a failure of another kind', FAILING.replace('€6.05', 'six'), /not it\. I changed nothing/],
    ['output it cannot read', 'Segmentation fault', /cannot read a test failure/],
  ])('ends honestly on %s, having edited nothing', (_name, failing, says) => {
    const turn = play('Make the tests pass.', sampleMachine({ failing }));
    expect(turn.commands.some((command) => command.startsWith('git apply'))).toBe(false);
    expect(turn.end).toMatch(says);
  });

  it('says so when the tests still fail after its edit, and pushes nothing', () => {
    const machine = sampleMachine();
    const turn = play('Fix it', (command) => (command === 'npm test' ? { exitCode: 1, output: FAILING } : machine(command)));
    expect(turn.end).toContain('still fails');
    expect(turn.commands.some((command) => command.includes('git push'))).toBe(false);
  });

  it('says so when the push is refused', () => {
    const turn = play('Fix it', sampleMachine({ push: { exitCode: 1, output: 'remote: Warren refused refs/heads/main' } }));
    expect(turn.end).toContain('Warren refused');
  });

  it('renames when asked to', () => {
    const turn = play('Please rename `costOf` to `lineTotal`.', (command) => {
      const machine = sampleMachine({ failing: '' });
      return command.startsWith('git grep')
        ? { exitCode: 1, output: 'diff' }
        : command.includes('typecheck')
          ? { output: '' }
          : machine(command);
    });
    expect(turn.commands[1]).toContain('s/\\bcostOf\\b/lineTotal/g');
    expect(turn.end).toContain('`lineTotal`');
  });
});

describe('a failed check', () => {
  const message = failureMessage('a'.repeat(40), [{ name: 'types', command: 'npm run typecheck', exitCode: 2, log: TYPE_ERROR }]);

  it('runs the check that failed, repairs what it says, and runs check and tests', () => {
    const turn = play(message, sampleMachine());
    expect(turn.commands[0]).toBe('npm run typecheck');
    expect(turn.commands[2]).toContain('+  if (!line) return 0;');
    expect(turn.commands.slice(3, 5)).toEqual(['npm run typecheck', 'npm test']);
    expect(turn.end).toContain('passes now');
  });

  it('is understood behind the summary that an agent without memory gets', () => {
    const turn = play(
      `The machine was started anew, so you do not remember.\n\nThe next message:\n\n${message}`,
      sampleMachine(),
    );
    expect(turn.commands[0]).toBe('npm run typecheck');
  });

  it('repairs a failing test check with the tests’ script', () => {
    const tests = failureMessage('a'.repeat(40), [{ name: 'test', command: 'npm test', exitCode: 1, log: '' }]);
    expect(play(tests, sampleMachine()).commands[2]).toContain('git apply');
  });

  it.each([
    ['passes here', { output: '' }, /passes here/],
    [
      'fails with an error it does not know',
      { exitCode: 2, output: 'src/cart.ts(1,1): error TS9999: Something.' },
      /repairs only/,
    ],
  ])('ends honestly when the check %s', (_name, printed, says) => {
    expect(play(message, () => printed).end).toMatch(says);
  });
});

describe('a review comment', () => {
  const about = (body: string, place: { path: string; line: number }) =>
    reviewMessage({ authorName: 'Ann', body, ...place, lineText: 'x', around: '', now: place, earlier: [] });
  const onCart = { path: 'src/cart.ts', line: 7 };
  const passing = sampleMachine({ failing: '' });
  const machine = (command: string) => (command.includes('typecheck') ? { output: '' } : passing(command));

  it('makes a number a named constant', () => {
    const turn = play(about('Magic number: call it FREE_DELIVERY_CENTS', onCart), machine);
    expect(turn.commands[1]).toContain('+const FREE_DELIVERY_CENTS = 5000;');
    expect(turn.commands[1]).toContain('+  return sum >= FREE_DELIVERY_CENTS ? sum : sum + 490;');
    expect(turn.end).toContain('5000 is `FREE_DELIVERY_CENTS` now');
  });

  it('adds a doc comment to the function the line is in, in the reviewer’s words when there are any', () => {
    expect(play(about('Please document this.', onCart), machine).commands[1]).toContain(
      '+/** Cart total from `cart`. */\n export function cartTotal',
    );
    expect(play(about('Please document this.', { ...onCart, line: 11 }), machine).commands[1]).toContain(
      '+/** Cost of `cart` and `sku`. */\n export function costOf',
    );
    expect(play(about('Add a doc comment: Delivery is free from 50 on.', onCart), machine).commands[1]).toContain(
      '+/** Delivery is free from 50 on. */',
    );
  });

  it('says what it understands when it does not understand', () => {
    const turn = play(about('This should be a monad.', onCart), machine);
    expect(turn.commands).toEqual([]);
    expect(turn.end).toContain('understand only three wishes');
  });
});

describe('whatever the agent', () => {
  const ask = (tools: unknown[]) => decideReply({ input: [user('Fix the tests')], tools }).call;

  it.each([
    ['exec_command', { cmd: expect.stringContaining('git status'), yield_time_ms: expect.any(Number) }],
    ['shell_command', { command: expect.stringContaining('git status'), timeout_ms: expect.any(Number) }],
    ['shell', { command: ['bash', '-lc', expect.stringContaining('git status')], timeout_ms: expect.any(Number) }],
  ])('calls its %s', (name, args) => {
    const call = ask([{ type: 'function', name }]);
    expect(call).toMatchObject({ type: 'function_call', name });
    expect(JSON.parse((call as { arguments: string }).arguments)).toMatchObject(args);
  });

  it('calls local_shell, and says so when there is no shell at all', () => {
    expect(ask([{ type: 'local_shell' }])).toMatchObject({ type: 'local_shell_call', action: { type: 'exec' } });
    expect(decideReply({ input: [user('Fix')], tools: [{ type: 'function', name: 'web' }] })).toMatchObject({
      call: null,
      text: expect.stringContaining('no shell tool'),
    });
  });

  it('waits for a command that runs on, takes its output together, and gives up on one that never ends', () => {
    const call = {
      type: 'function_call',
      name: 'exec_command',
      arguments: JSON.stringify({ cmd: 'git status --short --branch && git ls-files && cat package.json' }),
      call_id: 'a',
    };
    const running = {
      type: 'function_call_output',
      call_id: 'a',
      output: 'Chunk ID: 1\nProcess running with session ID 77\nOutput:\n{"scripts": {',
    };
    const poll = { type: 'function_call', name: 'write_stdin', arguments: '{"session_id":77,"chars":""}', call_id: 'b' };
    const done = { type: 'function_call_output', call_id: 'b', output: 'Process exited with code 0\nOutput:\n"test": "x"}}' };
    const waiting = decideReply({ input: [user('Fix'), call, running], tools: [EXEC] });
    expect(waiting.call).toMatchObject({ name: 'write_stdin', arguments: expect.stringContaining('77') });
    const after = decideReply({ input: [user('Fix'), call, running, poll, done], tools: [EXEC] });
    expect(after.call).toMatchObject({ arguments: expect.stringContaining('npm test') });
    const forever = Array.from({ length: 50 }, () => [poll, { ...running, call_id: 'b' }]).flat();
    expect(decideReply({ input: [user('Fix'), call, running, ...forever], tools: [EXEC] })).toMatchObject({
      call: null,
      text: expect.stringContaining('does not come to an end'),
    });
  });

  it('reads JSON output of older shells', () => {
    const call = {
      type: 'function_call',
      name: 'shell',
      arguments: JSON.stringify({ command: ['bash', '-lc', 'git status --short --branch && git ls-files && cat package.json'] }),
      call_id: 'a',
    };
    const output = {
      type: 'function_call_output',
      call_id: 'a',
      output: JSON.stringify({ output: '"test": "x"', metadata: { exit_code: 0 } }),
    };
    expect(decideReply({ input: [user('Fix'), call, output], tools: [{ type: 'function', name: 'shell' }] }).call).toMatchObject({
      name: 'shell',
    });
  });

  it('stops when the conversation is not of its making, and never throws', () => {
    const call = { type: 'function_call', name: 'exec_command', arguments: '{"cmd":"rm -rf /"}', call_id: 'a' };
    const output = { type: 'function_call_output', call_id: 'a', output: 'x' };
    expect(decideReply({ input: [user('Fix'), call, output], tools: [EXEC] })).toMatchObject({
      call: null,
      text: expect.stringContaining('does not match my script'),
    });
    fc.assert(fc.property(fc.anything(), (request) => typeof decideReply(request).text === 'string'));
    fc.assert(fc.property(fc.string(), (text) => decideReply({ input: text, tools: [EXEC] }) !== null));
  });
});
