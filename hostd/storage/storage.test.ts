import { mkdir, mkdtemp, open, readdir, readFile, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { holdDataDir } from './exclusive.ts';
import { allocatedBytes, asDiskError, cloneFile, digHoles, makePrivateDir, writeAtomically } from './files.ts';
import { anyImage, pruneImages } from './images.ts';
import { type Layout, layoutOf } from './layout.ts';
import { forgetOldLeases, requireLease } from './leases.ts';
import { discard, emptyTrash } from './trash.ts';
import { makeDirs } from './volume.ts';

let layout: Layout;
let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(path.join(os.tmpdir(), 'warren-storage-'));
  layout = layoutOf(dir);
  await makeDirs(layout);
});
afterEach(async () => {
  for (const at of [dir, layout.runDir]) await rm(at, { recursive: true });
});

describe('writing a file', () => {
  it('leaves the old text and nothing else when the disk is full', async () => {
    const file = path.join(dir, 'record');
    await writeAtomically(file, 'old');
    const before = await readdir(dir);
    // A directory in the way of the rename stands for any failure after the write.
    await mkdir(path.join(dir, 'taken', 'child'), { recursive: true });
    await expect(writeAtomically(path.join(dir, 'taken'), 'new')).rejects.toThrow();
    expect(await readFile(file, 'utf8')).toBe('old');
    expect((await readdir(dir)).sort()).toEqual([...before, 'taken'].sort());
  });

  it('knows a full disk from other errors', async () => {
    const full = await writeFile('/dev/full', 'x').catch((error) => error);
    expect(asDiskError(full, 'x')).toMatchObject({ code: 'disk_full' });
    const other = new Error('other');
    expect(asDiskError(other, 'x')).toBe(other);
  });
});

describe('cloning a file', () => {
  it('copies its data, keeps its holes and never replaces a file', async () => {
    const from = path.join(dir, 'from');
    const to = path.join(dir, 'to');
    const handle = await open(from, 'w');
    await handle.write(Buffer.alloc(8192, 7), 0, 8192, 64 * 1024 * 1024);
    await handle.close();
    await truncate(from, 128 * 1024 * 1024);
    await cloneFile(from, to);
    expect((await stat(to)).size).toBe(128 * 1024 * 1024);
    expect(await allocatedBytes(to)).toBeLessThan(1024 * 1024);
    expect((await readFile(to)).subarray(64 * 1024 * 1024, 64 * 1024 * 1024 + 8192)).toEqual(Buffer.alloc(8192, 7));
    await expect(cloneFile(from, to)).rejects.toMatchObject({ code: 'EEXIST' });
  });
});

describe('zeros', () => {
  it('take no room once holes are dug, and the file reads as before', async () => {
    const file = path.join(dir, 'zeros');
    const bytes = Buffer.concat([Buffer.alloc(4096, 7), Buffer.alloc(4 * 1024 * 1024), Buffer.alloc(4096, 9)]);
    await writeFile(file, bytes, { flush: true });
    expect(await allocatedBytes(file)).toBeGreaterThanOrEqual(bytes.length);
    await digHoles(file);
    expect(await allocatedBytes(file)).toBeLessThan(256 * 1024);
    expect((await readFile(file)).equals(bytes)).toBe(true);
  });
});

describe('a private directory', () => {
  it('is closed to others even when it was open before', async () => {
    const at = path.join(dir, 'open');
    await mkdir(at, { mode: 0o755 });
    await makePrivateDir(at);
    expect((await stat(at)).mode & 0o777).toBe(0o700);
  });
});

describe('leases', () => {
  it('refuse a lower number and are forgotten a week after their machine', async () => {
    await requireLease(layout, 'mch_a', 3);
    await requireLease(layout, 'mch_a', 3);
    await expect(requireLease(layout, 'mch_a', 2)).rejects.toMatchObject({ code: 'stale_lease' });
    const inTenDays = Date.now() + 10 * 24 * 3_600_000;
    await forgetOldLeases(layout, (machineId) => machineId === 'mch_a', inTenDays);
    await expect(requireLease(layout, 'mch_a', 2)).rejects.toMatchObject({ code: 'stale_lease' });
    await forgetOldLeases(layout, () => false, inTenDays);
    await requireLease(layout, 'mch_a', 2);
  });
});

describe('what is thrown away', () => {
  it('is gone, may be thrown away again, and a start finishes what a crash left', async () => {
    await mkdir(path.join(layout.machines, 'mch_a', 'vm'), { recursive: true });
    await discard(layout, path.join(layout.machines, 'mch_a'));
    await discard(layout, path.join(layout.machines, 'mch_a'));
    await mkdir(path.join(layout.trash, 'left', 'over'), { recursive: true });
    await emptyTrash(layout);
    expect(await readdir(layout.trash)).toEqual([]);
    expect(await readdir(layout.machines)).toEqual([]);
  });
});

describe('images', () => {
  it('of former recipes are removed, those in use and a running build are kept', async () => {
    for (const name of ['old', 'used', '.build-new-1', '.npm']) await mkdir(path.join(layout.images, name));
    await pruneImages(layout, (imageId) => imageId === 'used');
    expect((await readdir(layout.images)).sort()).toEqual(['.build-new-1', '.npm', 'used']);
  });

  it('that belong to another data directory are left alone', async () => {
    const elsewhere = path.join(dir, 'elsewhere');
    await mkdir(path.join(elsewhere, 'old'), { recursive: true });
    await rm(layout.images, { recursive: true });
    await symlink(elsewhere, layout.images);
    await pruneImages(layout, () => false);
    expect(await readdir(elsewhere)).toEqual(['old']);
  });
});

describe('a data directory', () => {
  it('is held by one hostd at a time, and by the next once it is gone', async () => {
    const first = await holdDataDir(layout);
    await expect(holdDataDir(layout)).rejects.toMatchObject({ code: 'conflict' });
    await new Promise((resolve) => first.close(resolve));
    await new Promise((resolve) => void holdDataDir(layout).then((next) => next.close(resolve)));
  });

  it('is taken over from a hostd that left its socket behind', async () => {
    // What a killed process leaves: a name nobody listens on.
    await symlink('/nonexistent', path.join(layout.runDir, 'hostd.sock'));
    const next = await holdDataDir(layout);
    await new Promise((resolve) => next.close(resolve));
  });

  it('has socket paths short enough for the kernel, however deep it is', () => {
    const deep = layoutOf(`/${'deep/'.repeat(60)}`);
    expect(deep.sockets(`mch_${'x'.repeat(40)}`).qmp.length).toBeLessThan(108);
  });
});

describe('the image a host is opened with', () => {
  async function build(imageId: string): Promise<void> {
    const files = layout.image(imageId);
    await mkdir(files.dir, { recursive: true });
    const manifest = { schemaVersion: 1, imageId, createdAt: new Date(0).toISOString(), buildSeconds: 1, files: {} };
    await writeFile(files.manifest, JSON.stringify(manifest));
  }

  it('is the wanted one, or else one of a former recipe, so that machines are taken up after the recipe changed', async () => {
    await build('former');
    expect((await anyImage(layout, 'wanted')).dir).toBe(layout.image('former').dir);
    await build('wanted');
    expect((await anyImage(layout, 'wanted')).dir).toBe(layout.image('wanted').dir);
  });

  it('says what to run when there is none, also when one was begun', async () => {
    await mkdir(layout.image('begun').dir, { recursive: true });
    await expect(anyImage(layout, 'wanted')).rejects.toMatchObject({
      code: 'missing_dependency',
      message: expect.stringContaining('hostd/guest/image/build.ts'),
    });
  });
});
