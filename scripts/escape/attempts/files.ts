import { FILE_BYTES_MAX } from '../../../hostd/contract/machines.ts';
import type { Category, HostAttempt, Through } from '../attempt.ts';
import type { World } from '../world.ts';

type Answer = { status: number; text: string };
type Judge = (world: World, answer: Answer) => Through | Promise<Through>;

const target = (verb: string, path: string) => (world: World) =>
  `machines/${world.attacker}/${verb}path=${encodeURIComponent(path.replaceAll('{file}', world.bait.file))}`;
const read = (path: string) => target('file?', path);
const list = (path: string) => target('files?', path);

/** What counts against every file operation: host content in the answer, a host file changed, an answer without bounds, none. */
async function judge(world: World, { status, text }: Answer): Promise<Through> {
  if (status === 0) return text;
  if (text.includes(world.bait.secret)) return 'the host’s file came back';
  if (text.length > 4 * FILE_BYTES_MAX) return `${text.length} bytes came back`;
  return (await world.bait.isFileUntouched()) ? null : 'the host’s file was changed';
}

const attempt = (
  name: string,
  setUp: string,
  ask: (world: World) => Promise<Answer>,
  more: Judge = () => null,
  tearDown = '',
): HostAttempt => ({
  name,
  run: async (world) => {
    const made = await world.exec(world.attacker, setUp.replaceAll('{file}', world.bait.file));
    if (made.exitCode !== 0) return { tried: false, through: null, note: made.stderr };
    const answer = await ask(world);
    const through = (await judge(world, answer)) ?? (await more(world, answer));
    if (tearDown) await world.exec(world.attacker, tearDown);
    return { tried: true, through, note: `${answer.status} ${answer.text.slice(0, 120)}` };
  },
});
const reading = (name: string, setUp: string, path: string, more?: Judge, tearDown?: string) =>
  attempt(name, setUp, (world) => world.send('GET', read(path)(world)), more, tearDown);
const listing = (name: string, setUp: string, path: string, more?: Judge, tearDown?: string) =>
  attempt(name, setUp, (world) => world.send('GET', list(path)(world)), more, tearDown);
const writing = (name: string, setUp: string, path: string, more?: Judge) =>
  attempt(name, setUp, (world) => world.send('PUT', read(path)(world), 'written from outside'), more);

const refused: Judge = (_world, { status }) => (status >= 400 ? null : `it was answered with ${status}`);

export const files: Category = {
  name: 'files',
  about: 'links, FIFOs, devices, endless and growing files, huge directories and odd names under hostd’s file API',
  attempts: [
    writing(
      'write through a link to a host file',
      'mkdir -p $(dirname {file}) && chmod 777 $(dirname {file}) && ln -sfn {file} /workspace/out && chown -h agent /workspace/out',
      '/workspace/out',
    ),
    reading('read through a link to a host file', 'ln -sfn {file} /workspace/in', '/workspace/in'),
    reading('read a host file by its path', 'true', '{file}'),
    reading('read a host file by a path of dots', 'true', `/workspace${'/..'.repeat(30)}{file}`),
    writing('write a host file by its path', 'true', '{file}'),
    reading('read through a link to a host’s process', 'ln -sfn /proc/1/root{file} /workspace/root', '/workspace/root'),
    reading('a link to itself', 'ln -sfn loop /workspace/loop', '/workspace/loop', refused),
    reading('a FIFO nobody writes', 'rm -f /workspace/fifo && mkfifo /workspace/fifo', '/workspace/fifo', refused),
    reading('/dev/zero', 'true', '/dev/zero', refused),
    reading('/proc/kcore', 'true', '/proc/kcore', refused),
    reading('/proc/kmsg, which waits', 'true', '/proc/kmsg'),
    reading('its own serial port', 'true', '/dev/virtio-ports/warren.ssh', refused),
    reading(
      'a sparse file of a terabyte',
      'truncate -s 1T /workspace/sparse',
      '/workspace/sparse',
      refused,
      'rm /workspace/sparse',
    ),
    reading(
      'a file that grows while it is read',
      '(timeout 20 sh -c "while :; do head -c 1000000 /dev/zero; done" >/workspace/grows 2>/dev/null & ) ; sleep 1',
      '/workspace/grows',
      undefined,
      'pkill -f workspace/grow; pkill timeout; rm -f /workspace/grows',
    ),
    reading('a path of 4 KiB', 'true', `/${'a/'.repeat(2040)}a`, refused),
    reading('a path beyond 4 KiB', 'true', `/${'a'.repeat(5000)}`, refused),
    reading('a path with a NUL', 'true', '/workspace/a\0b', refused),
    reading('a relative path', 'true', '../../etc/passwd', refused),
    reading('options as a path', 'true', '/--help', refused),
    listing('a directory that is a link to the host’s', 'ln -sfn $(dirname {file}) /workspace/dir', '/workspace/dir'),
    listing(
      'a directory of 2,000 entries',
      'mkdir -p /workspace/many && cd /workspace/many && seq 2000 | xargs touch',
      '/workspace/many',
      (_world, { text }) => ((JSON.parse(text) as { value?: unknown[] }).value ? null : 'it was not listed'),
    ),
    listing(
      'names with escapes, line ends and quotes',
      `mkdir -p /workspace/odd && cd /workspace/odd && touch "$(printf 'a\\033[2Jb')" "$(printf 'a\\nb')" '"};alert(1)' '$(reboot)' -- '-rf'`,
      '/workspace/odd',
      (_world, { text }) => (/\p{Cc}/u.test(text) ? 'control characters came back as they are' : null),
    ),
    listing(
      'names that are not UTF-8',
      `mkdir -p /workspace/bytes && cd /workspace/bytes && touch "$(printf 'a\\377\\376')"`,
      '/workspace/bytes',
    ),
    attempt('a follow of /dev/zero', 'true', async (world) => {
      // The guest would go on for ever; eight mebibytes are enough to see that it may.
      const left = new AbortController();
      const reply = await fetch(`${world.hostd.url}/${target('tail?', '/dev/zero')(world)}`, {
        headers: { authorization: `Bearer ${world.hostd.token}` },
        signal: AbortSignal.any([left.signal, AbortSignal.timeout(60_000)]),
      });
      let bytes = 0;
      for await (const chunk of reply.body ?? []) {
        bytes += chunk.length;
        if (bytes > 8 * 1024 * 1024) break;
      }
      left.abort();
      return { status: reply.status, text: `${bytes} bytes` };
    }),
    attempt('a command that never stops talking', 'true', async (world) => {
      const { stdout, truncated } = await world.exec(world.attacker, 'timeout 4 yes "$(printf \'a\\033]0;x\\007\')"');
      return { status: 200, text: `${truncated} ${stdout.slice(0, 20)}` };
    }),
    attempt('a command that does not read 4 MiB of input', 'true', async (world) => {
      const body = { argv: ['sleep', '1'], stdin: 'x'.repeat(4 * 1024 * 1024), timeoutMs: 20_000 };
      return world.send('POST', `machines/${world.attacker}/exec`, body);
    }),
    attempt('commands and paths with shell in them', 'true', async (world) => {
      const argv = ['printf', '%s', `$(cat ${world.bait.file}); \`cat ${world.bait.file}\``];
      return world.send('POST', `machines/${world.attacker}/exec`, { argv, cwd: '/workspace' });
    }),
    attempt('archives with paths above and links in them', 'true', async (world) => {
      const script = `cd /workspace && rm -rf arc && mkdir arc && cd arc && ln -s ${world.bait.file} link && echo x >>a &&
        tar -cf a.tar --transform 's,^a$,../../../../../../..${world.bait.file},' -P a link && ls -l a.tar`;
      await world.exec(world.attacker, script);
      return world.send('GET', read('/workspace/arc/a.tar')(world));
    }),
  ],
  controls: [
    {
      name: 'a file in the machine with the secret in it',
      run: async (world) => {
        await world.exec(world.attacker, `printf %s ${world.bait.secret} >/workspace/control`);
        const answer = await world.send('GET', read('/workspace/control')(world));
        return { tried: true, through: await judge(world, answer) };
      },
    },
  ],
};
