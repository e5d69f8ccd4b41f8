import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sendScript } from './send-line.ts';

/** The script as a guest runs it, over a file instead of a FIFO: what was written can be read. */
describe('the script that writes a line to the agent', () => {
  let dir: string;
  let stdin: string;

  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'warren-send-'));
    stdin = join(dir, 'agent.in');
    writeFileSync(stdin, '');
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  const send = (key: string, line: string): Promise<string> => {
    const script = sendScript({ sent: join(dir, 'sent'), stdin }).replaceAll(`> ${stdin}`, `>> ${stdin}`);
    return new Promise((resolve, reject) => {
      const child = execFile('sh', ['-c', script, 'warren-send-line', key], (error, stdout) =>
        error ? reject(error) : resolve(stdout.trim()),
      );
      child.stdin?.end(line);
    });
  };

  it('writes a key once, however often it is asked', async () => {
    expect(await send('c100', 'one\n')).toBe('written');
    expect(await send('c100', 'one\n')).toBe('already');
    expect(await send('c101', 'two\n')).toBe('written');
    expect(readFileSync(stdin, 'utf8')).toBe('one\ntwo\n');
  });

  it('writes it once when two ask at the same time', async () => {
    const answers = await Promise.all(Array.from({ length: 8 }, () => send('c100', 'one\n')));
    expect(answers.filter((answer) => answer === 'written')).toHaveLength(1);
    expect(readFileSync(stdin, 'utf8')).toBe('one\n');
    expect(readdirSync(join(dir, 'sent'))).toEqual(['c100']);
  });

  it('passes a line larger than a pipe through a FIFO unchanged', async () => {
    rmSync(stdin);
    execFileSync('mkfifo', [stdin]);
    const line = `${'é"\\'.repeat(60_000)}\n`;
    const reading = new Promise<string>((resolve, reject) => {
      execFile('cat', [stdin], { maxBuffer: 1 << 20 }, (error, stdout) => (error ? reject(error) : resolve(stdout)));
    });
    expect(await send('a-7', line)).toBe('written');
    expect(await reading).toBe(line);
  });
});
