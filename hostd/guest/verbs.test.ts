import { execFileSync } from 'node:child_process';
import { appendFile, mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Writable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { EXEC_OUTPUT_BYTES_MAX, FILE_BYTES_MAX } from '../contract/machines.ts';
import type { GuestChannel } from './channel.ts';
import { type ExecRequest, execInGuest } from './exec.ts';
import { listFiles, readFileInGuest } from './files.ts';
import { openTerminal } from './pty.ts';
import { openFollow } from './tail.ts';
import { openChannel } from './testing/open-channel.ts';
import { hasSshd, type SshdFixture, startSshdFixture } from './testing/sshd-fixture.ts';
import { writeInGuest } from './write.ts';

describe.skipIf(!hasSshd)(
  'verbs over a real sshd (skipped only where openssh-server is not installed)',
  { timeout: 60_000 },
  () => {
    let sshd: SshdFixture;
    let channel: GuestChannel;
    let dir: string;

    beforeAll(async () => {
      dir = await mkdtemp(path.join(tmpdir(), 'warren-verbs-'));
      sshd = await startSshdFixture();
      channel = await openChannel(sshd);
    });
    afterAll(async () => {
      channel.close();
      await sshd.close();
      await rm(dir, { recursive: true, force: true });
    });

    const client = () => channel.client(20_000);
    const inDir = (name: string) => path.join(dir, name);

    describe('exec', () => {
      const run = async (argv: string[], rest: Partial<ExecRequest> = {}) =>
        execInGuest(await client(), { argv, user: 'root', cwd: dir, timeoutMs: 10_000, ...rest });

      it('gives output, error output and exit code', async () => {
        const result = await run(['sh', '-c', 'echo out; echo err >&2; exit 7']);
        expect(result).toMatchObject({ exitCode: 7, stdout: 'out\n', stderr: 'err\n', timedOut: false, truncated: false });
      });

      it('hears how a command ended also when the whole answer comes at once, because this process was busy', async () => {
        await client();
        const busy = setInterval(() => execFileSync('sleep', ['0.3']));
        try {
          expect(await run(['sh', '-c', 'echo out; exit 7'])).toMatchObject({ exitCode: 7, stdout: 'out\n' });
        } finally {
          clearInterval(busy);
        }
      });

      it('sets directory, variables and input', async () => {
        const result = await run(['sh', '-c', 'pwd; echo "$A"; cat'], { env: { A: 'a b' }, stdin: 'typed' });
        expect(result.stdout).toBe(`${dir}\na b\ntyped`);
      });

      it('says so when the program or the directory does not exist', async () => {
        expect(await run(['/no/such/program'])).toMatchObject({ exitCode: 127 });
        expect(await run(['true'], { cwd: '/no/such/directory' })).toMatchObject({ exitCode: 125 });
      });

      it('ends a command and its children at the time limit', async () => {
        const result = await run(['sh', '-c', 'sleep 61 & echo $!; sleep 62'], { timeoutMs: 300 });
        expect(result).toMatchObject({ timedOut: true, exitCode: null });
        await vi.waitFor(() => expect(() => process.kill(Number(result.stdout), 0)).toThrow(), { timeout: 20_000 });
      });

      it('keeps the last bytes of an output beyond the cap', async () => {
        const result = await run(['sh', '-c', 'head -c 3000000 /dev/zero | tr "\\0" x; printf END']);
        expect(result.truncated).toBe(true);
        expect(result.stdout).toHaveLength(EXEC_OUTPUT_BYTES_MAX);
        expect(result.stdout.endsWith('xEND')).toBe(true);
      });

      it('runs many at once', async () => {
        const results = await Promise.all(Array.from({ length: 20 }, (_, index) => run(['echo', String(index)])));
        expect(results.map(({ stdout }) => stdout.trim())).toEqual(Array.from({ length: 20 }, (_, index) => String(index)));
      });
    });

    describe('write', () => {
      const write = async (name: string, text: string, mode: 'append' | 'replace') =>
        writeInGuest(await client(), { path: inDir(name), bytes: Buffer.from(text), mode, user: 'root' });

      it('appends to a file, and makes it', async () => {
        await write('log', 'one', 'append');
        await write('log', 'two', 'append');
        expect(await readFile(inDir('log'), 'utf8')).toBe('onetwo');
      });

      it('hands a FIFO everything in one piece', async () => {
        execFileSync('mkfifo', [inDir('fifo')]);
        const read = readFile(inDir('fifo'), 'utf8');
        const text = `{"a":"${'x'.repeat(200_000)}"}\n`;
        await write('fifo', text, 'append');
        expect(await read).toBe(text);
      });

      it('replaces a file and keeps its mode', async () => {
        await writeFile(inDir('script'), 'old', { mode: 0o755 });
        await write('script', 'new', 'replace');
        expect(await readFile(inDir('script'), 'utf8')).toBe('new');
        expect((await stat(inDir('script'))).mode & 0o777).toBe(0o755);
      });

      it('writes through a link instead of replacing it', async () => {
        await writeFile(inDir('target'), 'old');
        await symlink('target', inDir('link'));
        await write('link', 'new', 'replace');
        expect(await readFile(inDir('target'), 'utf8')).toBe('new');
      });

      it('refuses a directory and a path that leads nowhere', async () => {
        await expect(write('.', 'x', 'replace')).rejects.toMatchObject({ code: 'conflict' });
        await expect(write('no/such/file', 'x', 'append')).rejects.toMatchObject({ code: 'conflict' });
      });
    });

    describe('files', () => {
      it('lists a directory', async () => {
        await mkdir(inDir('tree/sub'), { recursive: true });
        await writeFile(inDir('tree/a.txt'), 'abc');
        await symlink('/etc', inDir('tree/link'));
        const entries = await listFiles({ client: await client(), path: inDir('tree') });
        expect(entries.map(({ name, kind }) => [name, kind])).toEqual([
          ['a.txt', 'file'],
          ['link', 'symlink'],
          ['sub', 'directory'],
        ]);
        expect(entries[0]?.bytes).toBe(3);
      });

      it('lists an empty directory, refuses a file and a path that does not exist', async () => {
        expect(await listFiles({ client: await client(), path: inDir('tree/sub') })).toEqual([]);
        await expect(listFiles({ client: await client(), path: inDir('tree/a.txt') })).rejects.toMatchObject({
          code: 'conflict',
        });
        await expect(listFiles({ client: await client(), path: inDir('nowhere') })).rejects.toMatchObject({ code: 'not_found' });
      });

      it('reads a file', async () => {
        const bytes = Buffer.alloc(100_000, 'abcdefg');
        await writeFile(inDir('bytes'), bytes);
        expect(await readFileInGuest({ client: await client(), path: inDir('bytes') })).toEqual(bytes);
      });

      it('refuses what is too large, endless or would block', async () => {
        await writeFile(inDir('large'), Buffer.alloc(FILE_BYTES_MAX + 1));
        execFileSync('mkfifo', [inDir('fifo2')]);
        const read = async (file: string) => readFileInGuest({ client: await client(), path: file });
        await expect(read(inDir('large'))).rejects.toMatchObject({ code: 'too_large' });
        await expect(read('/dev/zero')).rejects.toMatchObject({ code: 'conflict' });
        await expect(read(inDir('fifo2'))).rejects.toMatchObject({ code: 'conflict' });
        await expect(read(inDir('nowhere'))).rejects.toMatchObject({ code: 'not_found' });
      });
    });

    describe('follow', () => {
      it('gives every byte once across a killed sshd, from the offset on', async () => {
        const file = inDir('agent.out');
        await writeFile(file, 'skipped|first|');
        const seen: Buffer[] = [];
        const sink = new Writable({
          write(chunk, _encoding, done) {
            seen.push(chunk);
            done();
          },
        });
        const text = () => Buffer.concat(seen).toString();
        const reader = new AbortController();
        const copy = await openFollow({ channel, path: file, offset: 8, signal: reader.signal });
        const copied = copy(sink);
        await vi.waitFor(() => expect(text()).toBe('first|'), { timeout: 20_000 });
        await appendFile(file, 'second|');
        await vi.waitFor(() => expect(text()).toBe('first|second|'), { timeout: 20_000 });
        sshd.killSshd();
        await appendFile(file, 'third|');
        await vi.waitFor(() => expect(text()).toBe('first|second|third|'), { timeout: 20_000 });
        await appendFile(file, 'fourth|');
        await vi.waitFor(() => expect(text()).toBe('first|second|third|fourth|'), { timeout: 20_000 });
        reader.abort();
        await copied;
      });
    });

    describe('terminal', () => {
      it('finds the same shell again after the connection was lost', async () => {
        const request = { name: 'main', user: 'root', cwd: dir, cols: 100, rows: 30 } as const;
        const attach = async () => {
          const terminal = await openTerminal(await client(), request);
          let shown = '';
          terminal.on('data', (chunk: Buffer) => {
            shown += chunk.toString('utf8');
          });
          return { terminal, shown: () => shown };
        };
        const first = await attach();
        first.terminal.write('kept=$((40+2)); echo cols=$(tput cols)\r');
        await vi.waitFor(() => expect(first.shown()).toContain('cols=100'), { timeout: 20_000 });
        const lost = new Promise<void>((resolve) => first.terminal.once('close', () => resolve()));
        sshd.cut();
        await lost;
        const second = await attach();
        second.terminal.write('echo "kept is $kept"\r');
        await vi.waitFor(() => expect(second.shown()).toContain('kept is 42'), { timeout: 20_000 });
        const closed = new Promise<void>((resolve) => second.terminal.once('close', () => resolve()));
        second.terminal.write('exit\r');
        await closed;
      });
    });
  },
);
