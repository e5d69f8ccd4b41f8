import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { deviceName } from './io-device.ts';
import { parseLibraries, prepareTree, pruneTrees } from './tree.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(path.join(os.tmpdir(), 'warren-tree-'));
});
afterEach(() => rm(dir, { recursive: true }));

describe('the jail’s file system', () => {
  it('takes from the loader’s list what is a file', () => {
    const list = [
      '\tlinux-vdso.so.1 (0x00007ffd3a9f2000)',
      '\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f3c)',
      '\tlibgone.so.1 => not found',
      '\t/lib64/ld-linux-x86-64.so.2 (0x00007f3d)',
    ];
    expect(parseLibraries(list.join('\n'))).toEqual(['/lib/x86_64-linux-gnu/libc.so.6', '/lib64/ld-linux-x86-64.so.2']);
  });

  it('says what is not installed', async () => {
    await expect(prepareTree(dir, 'qemu-of-another-planet')).rejects.toMatchObject({
      code: 'missing_dependency',
      message: expect.stringContaining('qemu-of-another-planet'),
    });
  });

  it('is pruned to the one in use, half-made ones included', async () => {
    for (const name of ['aaaa', 'bbbb', 'bbbb.1234.new']) await writeFile(path.join(dir, name), '');
    await pruneTrees(dir, { dir: path.join(dir, 'aaaa'), tops: [], qemu: '', setpriv: '' });
    expect(await readdir(dir)).toEqual(['aaaa']);
  });
});

describe('a device’s name', () => {
  it('is its major and minor number', async () => {
    expect(deviceName(0x0803)).toBe('8:3');
    expect(deviceName((0xfe << 8) | 0)).toBe('254:0');
    // Minor numbers beyond 255 are continued above the major ones.
    expect(deviceName((1 << 20) | (259 << 8) | 4)).toBe('259:260');
    expect(deviceName((await stat('/dev/null')).rdev)).toBe('1:3');
  });
});
