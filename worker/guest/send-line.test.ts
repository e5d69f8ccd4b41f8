import { execFile, execFileSync } from 'node:child_process';
import { closeSync, constants, existsSync, mkdtempSync, openSync, readdirSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sendScript } from './send-line.ts';

/** The script as a guest runs it, over a FIFO that is held open as the agent holds its own. */
describe('the script that writes a line to the agent', () => {
  let dir: string;
  let stdin: string;
  let held: number;

  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'warren-send-'));
    stdin = join(dir, 'agent.in');
    execFileSync('mkfifo', [stdin]);
    held = openSync(stdin, constants.O_RDWR | constants.O_NONBLOCK);
  });
  afterEach(() => {
    closeSync(held);
    rmSync(dir, { recursive: true });
  });

  const written = () => {
    const buffer = Buffer.alloc(4096);
    return buffer.toString('utf8', 0, readSync(held, buffer));
  };
  const send = (key: string, line: string, to = stdin): Promise<string> => {
    const script = sendScript({ sent: join(dir, 'sent'), stdin: to });
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
    expect(written()).toBe('one\ntwo\n');
  });

  it('writes it once when two ask at the same time', async () => {
    const answers = await Promise.all(Array.from({ length: 8 }, () => send('c100', 'one\n')));
    expect(answers.filter((answer) => answer === 'written')).toHaveLength(1);
    expect(written()).toBe('one\n');
    expect(readdirSync(join(dir, 'sent'))).toEqual(['c100']);
  });

  it('passes a line larger than a pipe through a FIFO unchanged', async () => {
    const other = join(dir, 'other.in');
    execFileSync('mkfifo', [other]);
    const line = `${'é"\\'.repeat(60_000)}\n`;
    const reading = new Promise<string>((resolve, reject) => {
      execFile('cat', [other], { maxBuffer: 1 << 20 }, (error, stdout) => (error ? reject(error) : resolve(stdout)));
    });
    expect(await send('a-7', line, other)).toBe('written');
    expect(await reading).toBe(line);
  });

  it('refuses where there is no FIFO, and leaves neither a file in its place nor a word that it was sent', async () => {
    rmSync(stdin);
    await expect(send('c100', 'one\n')).rejects.toThrow('the agent has no stdin');
    expect(existsSync(stdin)).toBe(false);
    expect(readdirSync(dir)).toEqual([]);
  });
});
