import { expect, it } from 'vitest';
import { failedCommands } from '../gateway/demo/check-failed.ts';
import { failureMessage } from './failure-message.ts';

const check = (name: string, log: string) => ({ name, command: `npm run ${name}`, exitCode: 1, log });

it('names every failed check with its command, exit code and the end of its output', () => {
  const text = failureMessage('0123456789abcdef'.repeat(3).slice(0, 40), [
    check('test', 'a\nb'),
    { ...check('types', ''), exitCode: null },
  ]);
  expect(text).toMatch(/^Checks failed for commit 0123456789ab: test, types\n/);
  expect(text).toContain('## test\nCommand: npm run test\nExit code: 1\nEnd of its output:\na\nb');
  expect(text).toContain('## types\nCommand: npm run types\nExit code: none, it was ended\nIt printed nothing.');
  expect(failedCommands(text)).toEqual(['npm run test', 'npm run types']);
});

it('stays short whatever the checks print, and cuts at a line', () => {
  const log = Array.from({ length: 5000 }, (_, at) => `line ${at}`).join('\n');
  const text = failureMessage(
    'a'.repeat(40),
    Array.from({ length: 20 }, (_, at) => check(`c${at}`, log)),
  );
  expect(text.length).toBeLessThan(25_000);
  for (const [, first] of text.matchAll(/End of its output:\n(.*)/g)) expect(first).toMatch(/^line \d+$/);
});
