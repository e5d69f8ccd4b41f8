import { mkdtemp, readdir, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fillInbox, takeFromOutbox } from './device-state.ts';

let dir: string;
let inbox: string;
let outbox: string;
let state: string;
beforeEach(async () => {
  dir = await mkdtemp(path.join(os.tmpdir(), 'warren-state-'));
  [inbox, outbox, state] = ['inbox', 'outbox', 'state'].map((name) => path.join(dir, name)) as [string, string, string];
  for (const box of [inbox, outbox]) await writeFile(box, '');
});
afterEach(() => rm(dir, { recursive: true }));

describe('a device state', () => {
  it('is kept as it was written, with its hash, comes in as it was kept, and leaves an empty box for the next', async () => {
    for (const content of ['state', 'a later one']) {
      const bytes = Buffer.alloc(300_000, content);
      await writeFile(outbox, bytes);
      const saved = await takeFromOutbox(outbox, state);
      expect(saved.bytes).toBe(300_000);
      expect(await readFile(state)).toEqual(bytes);
      await fillInbox(inbox, state, saved.sha256);
      expect(await readFile(inbox)).toEqual(bytes);
      expect(await readFile(outbox)).toEqual(Buffer.alloc(0));
    }
  });

  it('is refused when one bit was flipped', async () => {
    await writeFile(outbox, Buffer.alloc(1000));
    const saved = await takeFromOutbox(outbox, state);
    const bytes = await readFile(state);
    bytes[500]! ^= 4;
    await writeFile(state, bytes);
    await expect(fillInbox(inbox, state, saved.sha256)).rejects.toMatchObject({ code: 'incompatible' });
  });

  it('does not exist when the disk is full', async () => {
    await writeFile(outbox, Buffer.alloc(10_000));
    await symlink('/dev/full', state);
    await expect(takeFromOutbox(outbox, state)).rejects.toMatchObject({ code: 'disk_full' });
    expect((await readdir(dir)).sort()).toEqual(['inbox', 'outbox']);
  });

  it.each([0, 300 * 1024 * 1024])('of %d bytes is none', async (bytes) => {
    await truncate(outbox, bytes);
    await expect(takeFromOutbox(outbox, state)).rejects.toMatchObject({
      code: 'internal',
      message: expect.stringContaining('bytes long'),
    });
    expect((await readdir(dir)).sort()).toEqual(['inbox', 'outbox']);
  });
});
