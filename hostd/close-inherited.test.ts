import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, it } from 'vitest';

const MODULE = path.join(import.meta.dirname, 'close-inherited.ts');

it('what a parent left open in hostd reaches no machine', async () => {
  const script = `
    import { execFileSync } from 'node:child_process';
    import { closeInherited } from '${MODULE}';
    const given = () => execFileSync('sh', ['-c', 'readlink /proc/$$/fd/200 || echo none']).toString().trim();
    const before = given();
    const closed = await closeInherited();
    console.log(JSON.stringify({ before, closed: closed.includes(200), after: given() }));`;
  const zero = openSync('/dev/zero', 'r');
  const stdio = Array.from({ length: 201 }, (_, fd) => (fd === 200 ? zero : fd === 1 ? 'pipe' : 'ignore') as number | 'pipe');
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio });
  closeSync(zero);
  expect(JSON.parse(await text(child.stdout!))).toEqual({ before: '/dev/zero', closed: true, after: 'none' });
});
