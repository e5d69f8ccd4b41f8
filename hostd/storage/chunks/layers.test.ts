import { randomBytes } from 'node:crypto';
import { truncateSync } from 'node:fs';
import { copyFile, mkdtemp, open, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DirectoryStore } from './directory-store.ts';
import { PAGE_BYTES } from './format.ts';
import type { StoreKey } from './keys.ts';
import { readChain } from './layer.ts';
import { PageIndex } from './page-index.ts';
import { findRef } from './refs.ts';
import { restoreLayer } from './restore-layer.ts';
import { Scope } from './scope.ts';
import { type LayerSource, storeLayer } from './store-layer.ts';

let dir: string;
let store: DirectoryStore;
const key: StoreKey = { id: 'k-test', secret: randomBytes(32) };
beforeEach(async () => {
  dir = await mkdtemp(path.join(os.tmpdir(), 'warren-chunks-'));
  store = new DirectoryStore(path.join(dir, 'objects'));
});
afterEach(() => rm(dir, { recursive: true }));

const at = (name: string) => path.join(dir, name);
let scopes = 0;
/** As a host that knows nothing yet would open it. */
const newScope = (packPages?: number) =>
  new Scope({ store, key, cacheDir: at(`cache-${++scopes}`), index: new PageIndex(16_384), ...(packPages ? { packPages } : {}) });

function source(name: string, files: LayerSource['files'], parent: string | null = null): LayerSource {
  return { name, files, parent, meta: { of: name }, group: 'g', checkpoint: false, createdAt: '2026-01-01T00:00:00.000Z' };
}

/** A file with holes: `pages` maps a page's number to what it holds. */
async function makeFile(name: string, bytes: number, pages: Record<number, Buffer>): Promise<string> {
  const file = at(name);
  await writeFile(file, '');
  await truncate(file, bytes);
  await change(file, pages);
  return file;
}

async function change(file: string, pages: Record<number, Buffer>): Promise<void> {
  const handle = await open(file, 'r+');
  for (const [page, content] of Object.entries(pages)) await handle.write(content, 0, content.length, Number(page) * PAGE_BYTES);
  await handle.close();
}

const noise = (pages = 1) => randomBytes(pages * PAGE_BYTES);

async function restored(layerId: string, name: string, base?: { layerId: string; path: string }): Promise<Buffer> {
  const scope = newScope();
  const chain = await readChain(store, key, scope.table, layerId);
  const target = at(`restored-${++scopes}`);
  await restoreLayer(
    scope,
    chain,
    [{ name, path: target }],
    base ? { base: { layerId: base.layerId, paths: { [name]: base.path } } } : {},
  );
  return readFile(target);
}

describe('a layer', () => {
  it('gives back the same bytes, also of a file that ends within a page, and keeps holes', async () => {
    const bytes = 64 * 1024 * 1024 + 123;
    const file = await makeFile('disk', bytes, {
      0: noise(3),
      5000: noise(),
      [Math.floor(bytes / PAGE_BYTES)]: randomBytes(123),
    });
    const { layerId } = await storeLayer(newScope(), source('a', [{ name: 'disk', path: file, parentPath: null }]));
    const scope = newScope();
    const chain = await readChain(store, key, scope.table, layerId);
    await restoreLayer(scope, chain, [{ name: 'disk', path: at('back') }]);
    expect((await readFile(at('back'))).equals(await readFile(file))).toBe(true);
    expect((await stat(at('back'))).blocks * 512).toBeLessThan(1024 * 1024);
    expect(chain.at(-1)!.layer.meta).toEqual({ of: 'a' });
  });

  it('over a parent stores what changed and little more', async () => {
    const parentFile = await makeFile('p', 32 * 1024 * 1024, { 0: noise(1000) });
    const parent = await storeLayer(newScope(), source('p', [{ name: 'm', path: parentFile, parentPath: null }]));
    const childFile = at('c');
    await copyFile(parentFile, childFile);
    const dirty: Record<number, Buffer> = {};
    for (let index = 0; index < 500; index += 1) dirty[index * 13] = noise();
    await change(childFile, dirty);
    for (const parentPath of [parentFile, null]) {
      const child = await storeLayer(
        newScope(),
        source(`c-${parentPath}`.replaceAll('/', '-'), [{ name: 'm', path: childFile, parentPath }], parent.layerId),
      );
      expect((await restored(child.layerId, 'm')).equals(await readFile(childFile))).toBe(true);
      expect(
        (await restored(child.layerId, 'm', { layerId: parent.layerId, path: parentFile })).equals(await readFile(childFile)),
      ).toBe(true);
    }
    const ref = await findRef(store, key, `c-${parentFile}`.replaceAll('/', '-'));
    // Random pages cannot be compressed; hashes, map, seals and names are what is left.
    expect(ref!.storedBytes / (500 * PAGE_BYTES)).toBeLessThan(1.02);
  });

  it('is not stored from a file that became shorter while it was read', async () => {
    const file = await makeFile('f', 2000 * PAGE_BYTES, { 0: noise(2000) });
    const ranges = Array.from({ length: 1000 }, (_, index) => ({ page: index * 2, end: index * 2 + 1 }));
    const options = { scan: async () => ({ ranges, by: 'data' as const }), onProgress: () => truncateSync(file, 100) };
    const stored = storeLayer(newScope(), source('a', [{ name: 'm', path: file, parentPath: null }]), options);
    await expect(stored).rejects.toThrow('became shorter');
    expect(await findRef(store, key, 'a')).toBeNull();
  });

  it('knows pages that became zero, a file that grew, and one that became smaller', async () => {
    const parentFile = await makeFile('p', 4 * 1024 * 1024, { 0: noise(1024) });
    const parent = await storeLayer(newScope(), source('p', [{ name: 'm', path: parentFile, parentPath: null }]));
    for (const bytes of [8 * 1024 * 1024, 4 * 1024 * 1024, 1024 * 1024 + 10]) {
      const file = at(`c${bytes}`);
      await copyFile(parentFile, file);
      await change(file, { 3: Buffer.alloc(PAGE_BYTES), 100: Buffer.alloc(50 * PAGE_BYTES) });
      await truncate(file, bytes);
      const child = await storeLayer(
        newScope(),
        source(`c${bytes}`, [{ name: 'm', path: file, parentPath: null }], parent.layerId),
      );
      expect((await restored(child.layerId, 'm')).equals(await readFile(file))).toBe(true);
      expect(
        (await restored(child.layerId, 'm', { layerId: parent.layerId, path: parentFile })).equals(await readFile(file)),
      ).toBe(true);
      expect(child.pagesStored).toBe(bytes === 1024 * 1024 + 10 ? 1 : 0);
    }
  });

  it('is stored once: pages that are anywhere in the store already are not stored again, by a host that never saw them', async () => {
    const content = noise(300);
    const first = await makeFile('one', 4 * 1024 * 1024, { 0: content });
    const parent = await storeLayer(newScope(), source('one', [{ name: 'm', path: first, parentPath: null }]));
    // The same pages elsewhere and in another order.
    const moved: Record<number, Buffer> = {};
    for (let page = 0; page < 300; page += 1) moved[700 - page] = content.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
    const second = await makeFile('two', 4 * 1024 * 1024, moved);
    const child = await storeLayer(newScope(), source('two', [{ name: 'm', path: second, parentPath: null }], parent.layerId));
    expect(child.pagesStored).toBe(0);
    expect((await restored(child.layerId, 'm')).equals(await readFile(second))).toBe(true);
    const again = await storeLayer(newScope(), source('two', [{ name: 'm', path: second, parentPath: null }], parent.layerId));
    expect(again).toMatchObject({ layerId: child.layerId, written: false });
  });

  it('stays readable over more generations than a chain may be long', async () => {
    let parent: string | null = null;
    let parentPath: string | null = null;
    const file = await makeFile('m0', 256 * PAGE_BYTES, { 0: noise(256) });
    for (let generation = 0; generation < 20; generation += 1) {
      const next = at(`m${generation + 1}`);
      await copyFile(file, next);
      await change(next, { [generation]: noise() });
      await change(file, {
        [generation]: (await readFile(next)).subarray(generation * PAGE_BYTES, (generation + 1) * PAGE_BYTES),
      });
      const stored = await storeLayer(newScope(), source(`g${generation}`, [{ name: 'm', path: next, parentPath }], parent));
      parent = stored.layerId;
      parentPath = next;
      if (generation > 0) expect(stored.pagesStored).toBe(1);
    }
    expect((await restored(parent!, 'm')).equals(await readFile(parentPath!))).toBe(true);
  });
});

describe('a file that a layer in between does not have', () => {
  it('begins anew, whatever it shares with older ones', async () => {
    const pages = noise(64);
    const memory = await makeFile('memory', 64 * PAGE_BYTES, { 0: pages });
    const disk = await makeFile('disk', 8 * PAGE_BYTES, { 0: noise(8) });
    const bottom = await storeLayer(
      newScope(),
      source('bottom', [
        { name: 'memory', path: memory, parentPath: null },
        { name: 'disk', path: disk, parentPath: null },
      ]),
    );
    // A machine that lost its memory leaves a snapshot of its disk alone.
    const middle = await storeLayer(
      newScope(),
      source('middle', [{ name: 'disk', path: disk, parentPath: disk }], bottom.layerId),
    );
    const next = await makeFile('next', 64 * PAGE_BYTES, { 5: pages.subarray(0, PAGE_BYTES) });
    const top = await storeLayer(newScope(), source('top', [{ name: 'memory', path: next, parentPath: memory }], middle.layerId));
    expect((await restored(top.layerId, 'memory')).equals(await readFile(next))).toBe(true);
    const overBottom = await restored(top.layerId, 'memory', { layerId: bottom.layerId, path: memory });
    expect(overBottom.equals(await readFile(next))).toBe(true);
  });
});

describe('a restore', () => {
  it('that was cut off goes on where it was', async () => {
    const file = await makeFile('big', 4 * 1024 * 1024, { 0: noise(1000) });
    const { layerId } = await storeLayer(newScope(256), source('big', [{ name: 'm', path: file, parentPath: null }]));
    const scope = newScope();
    const chain = await readChain(store, key, scope.table, layerId);
    const abort = new AbortController();
    const cut = restoreLayer(scope, chain, [{ name: 'm', path: at('back') }], {
      notes: at('notes'),
      signal: abort.signal,
      onProgress: ({ packsDone }) => packsDone === 2 && abort.abort(),
    });
    await expect(cut).rejects.toThrow();
    const rest = await restoreLayer(scope, chain, [{ name: 'm', path: at('back') }], { notes: at('notes') });
    expect(rest.bytesFetched).toBeLessThan(3 * 1024 * 1024);
    expect((await readFile(at('back'))).equals(await readFile(file))).toBe(true);
  });
});
