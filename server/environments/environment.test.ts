import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { describeProblems, parseEnvironment } from './environment.ts';

function problemsOf(text: string) {
  const result = parseEnvironment(text);
  return result.ok ? [] : result.problems;
}

describe('the environment file', () => {
  it('names the line of a syntax error', () => {
    expect(problemsOf('setup:\n  - "npm ci\n')[0]?.line).toBeGreaterThanOrEqual(2);
  });

  it.each([
    ['setup: npm ci\n', 1, 'setup'],
    ['setup: []\nchecks:\n  - name: test\n    comand: npm test\n', 4, 'comand'],
    ['setup: []\nchecks:\n  - name: test\n', 3, 'checks.0.command'],
    ['\n\nports: [80, 99999]\n', 3, 'ports.1'],
    ['size:\n  memoryMiB: lots\n', 2, 'size.memoryMiB'],
    ['checks:\n  - {name: a, command: x}\n  - {name: a, command: y}\n', 1, 'same name'],
    ['setup:\n  - ""\n', 2, 'may not be empty'],
    ['setup: []\nimage: desktp\n', 2, 'there is no image "desktp"; there are base, desktop, docker'],
    ['packages:\n  - jq\n  - -oDpkg::Pre-Invoke=sh\n', 3, 'not the name of a Debian package'],
    ['a: &x [1]\nb: *x\n', 1, 'aliases'],
  ])('names the line and the field of %j', (text, line, word) => {
    const [problem] = problemsOf(text);
    expect(problem?.line).toBe(line);
    expect(describeProblems([problem!])).toContain(word);
  });

  it('never throws, whatever the text', () => {
    fc.assert(fc.property(fc.string(), (text) => typeof parseEnvironment(text).ok === 'boolean'));
  });

  it.each([null, '', '# nothing yet\n'])('has defaults for %j', (text) => {
    const size = { memoryMiB: 1024, vcpus: 1, diskGiB: 8 };
    const environment = { setup: [], checks: [], ports: [], image: 'base', packages: [], size };
    expect(parseEnvironment(text)).toEqual({ ok: true, environment });
  });

  it('gives a desktop and containers more memory, unless the file says how much', () => {
    const sizeOf = (text: string) => {
      const result = parseEnvironment(text);
      return result.ok ? result.environment.size.memoryMiB : null;
    };
    expect(sizeOf('image: desktop\n')).toBe(2048);
    expect(sizeOf('image: docker\n')).toBe(2048);
    expect(sizeOf('image: desktop\nsize: {memoryMiB: 1536}\n')).toBe(1536);
  });

  it('reads what a repository says', () => {
    const text = 'setup: [npm ci]\nchecks:\n  - name: test\n    command: npm test\nsize: {memoryMiB: 2048}\n';
    expect(parseEnvironment(text)).toMatchObject({
      ok: true,
      environment: { setup: ['npm ci'], checks: [{ name: 'test', command: 'npm test' }], size: { memoryMiB: 2048, diskGiB: 8 } },
    });
  });
});
