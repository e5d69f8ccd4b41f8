import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { buildCommand } from './command.ts';
import { quoteArg, quoteArgv } from './quote.ts';

/** What a POSIX shell makes of a command line whose program prints its arguments. */
function argumentsSeenBy(shell: string, line: string): string[] {
  const printer = 'for a in "$@"; do printf "%s\\0" "$a"; done';
  return execFileSync(shell, ['-c', `sh -c '${printer}' argv0 ${line}`], { encoding: 'utf8' })
    .split('\0')
    .slice(0, -1);
}

describe('quoteArgv', () => {
  it.each([
    '',
    ' ',
    "'",
    "''",
    '"',
    '\\',
    '$(touch /tmp/warren-injected)',
    '`id`',
    '$HOME',
    '*',
    '~',
    '!!',
    'a\nb',
    '; rm -rf x',
    '&& x',
    '-n',
    '#',
    'ä',
    '\u{1F600}',
    "it's",
    "\\'",
    '\t',
  ])('passes %j on as it is', (arg) => {
    expect(argumentsSeenBy('sh', quoteArgv([arg, 'end']))).toEqual([arg, 'end']);
  });

  it('passes anything but NUL on as it is', () => {
    const arg = fc.string({ unit: 'grapheme', maxLength: 30 }).filter((text) => !text.includes('\0') && text.isWellFormed());
    fc.assert(
      fc.property(fc.array(arg, { minLength: 1, maxLength: 20 }), (argv) => {
        expect(argumentsSeenBy('bash', quoteArgv(argv))).toEqual(argv);
      }),
      { numRuns: 60 },
    );
  });

  it('refuses a NUL byte', () => {
    expect(() => quoteArg('a\0b')).toThrow(RangeError);
  });

  it('keeps a program with = in its name from being read as an assignment', () => {
    expect(quoteArgv(['A=b', 'c=d'])).toBe("'A=b' c=d");
  });
});

describe('buildCommand', () => {
  it('runs as the agent in its home unless told otherwise', () => {
    expect(buildCommand({ argv: ['ls', '-l'], user: 'agent' })).toBe(
      'cd /home/agent || exit 125; HOME=/home/agent USER=agent LOGNAME=agent SHELL=/bin/bash exec setpriv --reuid=agent --regid=agent --init-groups -- ls -l',
    );
  });

  it('runs as root with a directory, variables and a time limit', () => {
    const line = buildCommand({ argv: ['npm', 'test'], user: 'root', cwd: '/my dir', env: { A: "it's" }, timeoutMs: 1500 });
    expect(line).toBe(
      "cd '/my dir' || exit 125; HOME=/root USER=root LOGNAME=root SHELL=/bin/bash exec env 'A=it'\\''s' timeout --kill-after=2 1.500 npm test",
    );
  });

  it.each(['relative', '', '-'])('refuses %j as a directory', (cwd) => {
    expect(() => buildCommand({ argv: ['x'], user: 'root', cwd })).toThrow(/absolute/);
  });

  it.each(['1A', 'A B', '', '-u', 'A=B'])('refuses %j as the name of a variable', (name) => {
    expect(() => buildCommand({ argv: ['x'], user: 'root', env: { [name]: '1' } })).toThrow(/environment variable/);
  });

  it('refuses a NUL byte', () => {
    expect(() => buildCommand({ argv: ['a\0b'], user: 'root' })).toThrow(/NUL/);
  });
});
