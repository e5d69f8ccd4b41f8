import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { collect } from '../chunks/collect.ts';
import { objectKeys, PAGE_BYTES } from '../chunks/format.ts';
import { readChain } from '../chunks/layer.ts';
import type { ObjectStore } from '../chunks/object-store.ts';
import { describeObjectStore } from '../chunks/object-store-contract.ts';
import { PageIndex } from '../chunks/page-index.ts';
import { removeRef } from '../chunks/refs.ts';
import { restoreLayer } from '../chunks/restore-layer.ts';
import { S3Store } from '../chunks/s3-store.ts';
import { Scope } from '../chunks/scope.ts';
import { type StoredLayer, storeLayer } from '../chunks/store-layer.ts';
import { FaultyStore } from '../chunks/testing/faulty-store.ts';
import { openStore, parseStoreLocation } from './open-store.ts';
import { ThreadedEngine } from './threaded-engine.ts';

/*
 * The store over an S3 server that is not ours: the one that WARREN_TEST_S3 names, in the words of HOSTD_OBJECT_STORE
 * (docs/operations.md). Everything lies below a prefix drawn at random and is removed at the end.
 */
const asked = process.env.WARREN_TEST_S3;
const reason = asked ? null : 'WARREN_TEST_S3 is not set, see docs/operations.md';
// For a server that is far away.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });
const RUN = `warren-test-${randomBytes(8).toString('hex')}`;
const HOUR_MS = 3_600_000;
/** More than two pages of a listing, which hold 1,000 on most servers. */
const MANY = 2_005;

function at(name: string) {
  const location = parseStoreLocation(asked!);
  if (location.kind !== 's3') throw new Error(`WARREN_TEST_S3 must begin with s3://: ${asked}`);
  return { ...location, prefix: [location.prefix, RUN, name].filter((part) => part !== '').join('/') };
}

async function keysUnder(store: ObjectStore, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list(prefix)) keys.push(key);
  return keys;
}

/** Some at a time, as a server that is far away needs it. */
async function forEach<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const waiting = items.values();
  const worker = async () => {
    for (const item of waiting) await work(item);
  };
  await Promise.all(Array.from({ length: 16 }, worker));
}

describe.skipIf(reason !== null)(`an S3 server of others${reason === null ? '' : ` (skipped: ${reason})`}`, () => {
  const key = { id: 'k-test', secret: randomBytes(32) };
  let dir: string;
  beforeAll(async () => {
    dir = await mkdtemp(path.join(os.tmpdir(), 'warren-s3-'));
  });
  afterAll(async () => {
    await rm(dir, { recursive: true });
    const all = await openStore(at(''));
    await forEach(await keysUnder(all, ''), (name) => all.remove(name));
    expect(await keysUnder(all, '')).toEqual([]);
  });

  describeObjectStore('that bucket', async () => ({ store: new S3Store(at('contract')), close: async () => {} }));

  it('lists more than one answer of it holds, each object once', async () => {
    const store = await openStore(at('many'));
    const names = Array.from({ length: MANY }, (_, index) => `v1/many/${index}`);
    await forEach(names, (name) => store.put(name, Buffer.alloc(1)));
    expect((await keysUnder(store, 'v1/many/')).sort()).toEqual(names.sort());
  });

  it('keeps layers: an upload goes on after a cut, a restore fetches what it needs, a collection removes the rest', async () => {
    const store = await openStore(at('layers'));
    const scopeOver = (over: ObjectStore) =>
      new Scope({ store: over, key, cacheDir: path.join(dir, 'cache'), index: new PageIndex(16_384), packPages: 256 });
    const put = (over: ObjectStore, name: string, file: string, parent: StoredLayer | null) =>
      storeLayer(scopeOver(over), {
        name,
        files: [{ name: 'm', path: file, parentPath: null }],
        parent: parent?.layerId ?? null,
        meta: {},
        group: 'g',
        checkpoint: false,
        createdAt: '2026-01-01T00:00:00.000Z',
      });
    const one = path.join(dir, 'one');
    const two = path.join(dir, 'two');
    const content = randomBytes(2048 * PAGE_BYTES);
    await writeFile(one, content);
    for (const page of [3, 700, 2000]) randomBytes(PAGE_BYTES).copy(content, page * PAGE_BYTES);
    await writeFile(two, content);

    let packs = 0;
    const isFourth = (verb: string, name: string) => verb === 'put' && name.includes('/packs/') && ++packs === 4;
    const cut = new FaultyStore(store, (verb, name) => (isFourth(verb, name) ? 'dead' : 'none'));
    await expect(put(cut, 'one', one, null)).rejects.toThrow('killed');
    const first = await put(store, 'one', one, null);
    expect(first.pagesStored).toBeLessThanOrEqual(6 * 256);
    const second = await put(store, 'two', two, first);
    expect(second.pagesStored).toBe(3);

    const restored = async ({ layerId }: StoredLayer, base?: { layerId: string; paths: { m: string } }) => {
      const scope = scopeOver(store);
      const target = path.join(dir, 'back');
      const chain = await readChain(store, key, scope.table, layerId);
      const { bytesFetched } = await restoreLayer(scope, chain, [{ name: 'm', path: target }], base ? { base } : {});
      return { bytesFetched, bytes: await readFile(target) };
    };
    expect((await restored(second)).bytes.equals(content)).toBe(true);
    const over = await restored(second, { layerId: first.layerId, paths: { m: one } });
    expect(over.bytes.equals(content)).toBe(true);
    expect(over.bytesFetched).toBeLessThan(4 * PAGE_BYTES);

    // Condemned by the first, removed by the second: by the server's times, seen from two days later.
    const collectTwice = async () => {
      const now = () => Date.now() + 48 * HOUR_MS;
      await collect(store, key, { now });
      return collect(store, key, { now });
    };
    await removeRef(store, key, 'two');
    expect(await collectTwice()).toMatchObject({ refsKept: 1, removed: 2 });
    expect((await restored(first)).bytes.equals(await readFile(one))).toBe(true);
    await removeRef(store, key, 'one');
    expect(await collectTwice()).toMatchObject({ refsKept: 0, bytesKept: 0 });
    expect(await keysUnder(store, objectKeys.scope(key.id))).toEqual([]);
  });

  it('takes packs of full size from the thread that hostd has for it', async () => {
    const engine = new ThreadedEngine({ location: at('engine'), cacheDir: path.join(dir, 'engine') });
    const file = path.join(dir, 'big');
    const content = randomBytes(20 * 1024 * 1024);
    await writeFile(file, content);
    const files = [{ name: 'm', path: file, parentPath: null }];
    const source = { name: 'big', files, parent: null, meta: {}, group: 'g', checkpoint: false };
    const { layerId } = await engine.store(key, { ...source, createdAt: '2026-01-01T00:00:00.000Z' }, () => {});
    expect(await engine.isWhole(key, 'big')).toBe(true);
    await engine.restore(key, layerId, [{ name: 'm', path: `${file}-back` }], {});
    expect((await readFile(`${file}-back`)).equals(content)).toBe(true);
    await engine.close();
  });

  type Verb = [name: string, ask: (store: ObjectStore) => Promise<unknown>];
  const size: Verb = ['size', (store) => store.size('v1/x')];
  const others: Verb[] = [
    ['put', (store) => store.put('v1/x', Buffer.alloc(1))],
    ['get', (store) => store.get('v1/x')],
    ['list', (store) => keysUnder(store, 'v1/')],
    ['remove', (store) => store.remove('v1/x')],
  ];

  it.each([size, ...others])('refuses wrong credentials for good: %s', async (_, ask) => {
    const credentials = { accessKeyId: process.env.AWS_ACCESS_KEY_ID ?? 'AKNOBODY', secretAccessKey: 'wrong' };
    const failed = ask(new S3Store({ ...at('refused'), credentials }));
    await expect(failed).rejects.toMatchObject({ name: 'StoreFailure', retryable: false });
  });

  // Asked for a size, a server answers a bare 404, which does not tell one from the other.
  it.each(others)('tells a missing bucket from a missing object: %s', async (_, ask) => {
    const failed = ask(new S3Store({ ...at(''), bucket: RUN }));
    await expect(failed).rejects.toMatchObject({ name: 'StoreFailure', retryable: false });
  });

  it.each([size, ...others])('is used by a host whose clock is an hour ahead: %s', async (_, ask) => {
    await new S3Store(at('clock')).put('v1/x', Buffer.alloc(1));
    const real = Date.now;
    const clock = vi.spyOn(Date, 'now').mockImplementation(() => real() + HOUR_MS);
    try {
      await ask(await openStore(at('clock')));
    } finally {
      clock.mockRestore();
    }
  });
});
