import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';
import { filesBelow, textsIn } from './scan.ts';

it('finds a text also where two reads meet, and none that is not there', async () => {
  const dir = await mkdtemp(path.join(tmpdir(), 'warren-scan-'));
  const file = path.join(dir, 'memory');
  const bytes = Buffer.alloc(9 * 1024 * 1024);
  bytes.write('needle', 4 * 1024 * 1024 - 3);
  bytes.write('last', bytes.length - 4);
  await writeFile(file, bytes);
  expect(await filesBelow(dir)).toEqual([file]);
  expect(await textsIn(file, ['needle', 'last', 'absent'])).toEqual(['needle', 'last']);
  await rm(dir, { recursive: true });
});
