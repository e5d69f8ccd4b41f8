import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PAGE_BYTES } from './format.ts';
import { NotAuthentic, type StoreKey } from './keys.ts';
import { readChain } from './layer.ts';
import { ObjectMissing, type ObjectStore, StoreFailure } from './object-store.ts';
import { PageIndex } from './page-index.ts';
import { findRef } from './refs.ts';
import { restoreLayer } from './restore-layer.ts';
import { RetryingStore } from './retrying-store.ts';
import { Scope } from './scope.ts';
import { storeLayer } from './store-layer.ts';
import { type Fault, FaultyStore } from './testing/faulty-store.ts';
import { MemoryStore } from './testing/memory-store.ts';

/* What is read from a store that was changed, and what is left in one when its user is killed or the network fails. */
const key: StoreKey = { id: 'k-test', secret: randomBytes(32) };
let dir: string;
let store: MemoryStore;
let count = 0;
beforeEach(async () => {
  dir = await mkdtemp(path.join(os.tmpdir(), 'warren-hostile-'));
  store = new MemoryStore();
});
afterEach(() => rm(dir, { recursive: true }));

const newScope = (over: ObjectStore, withKey = key) =>
  new Scope({ store: over, key: withKey, cacheDir: path.join(dir, `cache-${++count}`), index: new PageIndex(4096) });

async function put(scope: Scope, name: string, pages: Buffer, parent: string | null = null): Promise<string> {
  const file = path.join(dir, `file-${++count}`);
  await writeFile(file, pages);
  const source = { name, files: [{ name: 'm', path: file, parentPath: null }], parent, meta: {}, group: 'g', checkpoint: false };
  return (await storeLayer(scope, { ...source, createdAt: '2026-01-01T00:00:00.000Z' })).layerId;
}

/** As a wake does it: from the name alone. */
async function fetch(name: string, over: ObjectStore = store, withKey = key): Promise<Buffer> {
  const ref = await findRef(over, withKey, name);
  if (!ref) throw new ObjectMissing(name);
  const scope = newScope(over, withKey);
  const target = path.join(dir, `back-${++count}`);
  await restoreLayer(scope, await readChain(over, withKey, scope.table, ref.layer), [{ name: 'm', path: target }]);
  return readFile(target);
}

const noise = (pages: number) => randomBytes(pages * PAGE_BYTES);

/** Two snapshots, the second over the first, in a store with several objects of each kind. */
async function fill() {
  const first = noise(70);
  const parent = await put(newScope(store), 'one', first);
  const second = Buffer.concat([first.subarray(0, 30 * PAGE_BYTES), noise(40)]);
  await put(newScope(store), 'two', second, parent);
  return { first, second };
}

describe('a store that was changed', () => {
  const kinds = ['packs', 'layers', 'refs'] as const;

  it.each(kinds)('gives the right bytes or none when a bit of one of its %s is flipped', async (kind) => {
    const { second } = await fill();
    const keys = [...store.objects.keys()].filter((one) => one.includes(`/${kind}/`));
    let refused = 0;
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.nat(), fc.nat(7), async (which, where, bit) => {
        const object = store.objects.get(keys[which % keys.length]!)!;
        const good = object.bytes;
        object.bytes = Buffer.from(good);
        object.bytes[where % good.length]! ^= 1 << bit;
        try {
          expect((await fetch('two')).equals(second)).toBe(true);
        } catch (error) {
          if (!(error instanceof NotAuthentic)) throw error;
          refused += 1;
        } finally {
          object.bytes = good;
        }
      }),
      { numRuns: 60 },
    );
    expect(refused).toBeGreaterThan(10);
  });

  it.each(kinds)('gives none when one of its %s is cut off, is gone, or is another one', async (kind) => {
    await fill();
    const keys = [...store.objects.keys()].filter((one) => one.includes(`/${kind}/`));
    const needed = kind === 'refs' ? keys.filter((one) => one.endsWith('/two')) : keys;
    for (const name of needed) {
      const object = store.objects.get(name)!;
      const good = object.bytes;
      const other = store.objects.get(keys.find((one) => one !== name)!)!.bytes;
      for (const bad of [good.subarray(0, 100), Buffer.alloc(0), other]) {
        object.bytes = bad;
        const error = await fetch('two').catch((caught: unknown) => caught);
        expect(error instanceof NotAuthentic || error instanceof StoreFailure).toBe(true);
      }
      object.bytes = good;
      store.objects.delete(name);
      const error = await fetch('two').catch((caught: unknown) => caught);
      expect(error instanceof ObjectMissing || error instanceof NotAuthentic).toBe(true);
      store.objects.set(name, object);
    }
    await fetch('two');
  });

  it('gives none when chunks of a pack are exchanged', async () => {
    await fill();
    const scope = newScope(store);
    const { layer } = (await readChain(store, key, scope.table, (await findRef(store, key, 'one'))!.layer))[0]!;
    const { id, chunkBytes } = scope.table.get(layer.files[0]!.runs[0]!.pack);
    const object = store.objects.get(`v1/k-test/packs/${id}`)!;
    // Noise is stored as it is, so two full chunks have one length.
    expect(chunkBytes[0]).toBe(chunkBytes[1]);
    const [one, two] = [object.bytes.subarray(0, chunkBytes[0]), object.bytes.subarray(chunkBytes[0], 2 * chunkBytes[0]!)];
    object.bytes = Buffer.concat([two, one, object.bytes.subarray(2 * chunkBytes[0]!)]);
    await expect(fetch('one')).rejects.toBeInstanceOf(NotAuthentic);
  });

  it('gives none under another key, also when it has the same id', async () => {
    await fill();
    await expect(fetch('one', store, { ...key, secret: randomBytes(32) })).rejects.toBeInstanceOf(NotAuthentic);
    await expect(fetch('one', store, { ...key, id: 'k-other' })).rejects.toBeInstanceOf(ObjectMissing);
  });

  it('holds nothing that can be read without the key', async () => {
    const canary = Buffer.from('a canary that must not be found anywhere in the store');
    const page = Buffer.alloc(PAGE_BYTES, canary);
    await put(newScope(store), 'secret-name-is-public', Buffer.concat([page, noise(3)]));
    for (const { bytes } of store.objects.values()) expect(bytes.includes(canary.subarray(0, 12))).toBe(false);
  });

  it('is not built upon when what this host remembers of it is stale or damaged', async () => {
    const content = noise(40);
    const cacheDir = path.join(dir, 'kept');
    const open = () => new Scope({ store, key, cacheDir, index: new PageIndex(4096) });
    await put(open(), 'one', content);
    // The packs are gone, as after a collection: what is remembered of them must not be referred to.
    for (const name of store.objects.keys()) if (name.includes('/packs/') || name.includes('/refs/')) store.objects.delete(name);
    await put(open(), 'two', content);
    expect((await fetch('two')).equals(content)).toBe(true);
    // A directory that was damaged on this host's disk.
    for (const name of await readdir(cacheDir)) {
      const bytes = await readFile(path.join(cacheDir, name));
      bytes[bytes.length >> 1]! ^= 1;
      await writeFile(path.join(cacheDir, name), bytes);
    }
    await put(open(), 'three', Buffer.concat([content, noise(1)]));
    expect((await fetch('three')).subarray(0, content.length).equals(content)).toBe(true);
  });
});

describe('an upload', () => {
  it('that is killed at any of its requests leaves nothing that looks whole, and the next one goes on from there', async () => {
    const content = noise(70);
    for (let kill = 1; ; kill += 1) {
      store = new MemoryStore();
      const cacheDir = path.join(dir, `cache-kill-${kill}`);
      const open = (over: ObjectStore) => new Scope({ store: over, key, cacheDir, index: new PageIndex(1024), packPages: 40 });
      let requests = 0;
      const faulty = new FaultyStore(store, () => (++requests === kill ? 'dead' : 'none'));
      const killed = await put(open(faulty), 'one', content).then(
        () => null,
        (error: unknown) => error,
      );
      if (killed === null) {
        expect(kill).toBeGreaterThan(6);
        break;
      }
      expect(await findRef(store, key, 'one')).toBeNull();
      const packsBefore = [...store.objects.keys()].filter((name) => name.includes('/packs/')).length;
      await put(open(store), 'one', content);
      expect((await fetch('one')).equals(content)).toBe(true);
      // A whole pack that had arrived, and was noted, is not sent again: two packs hold these pages, one more at the most.
      const packs = [...store.objects.keys()].filter((name) => name.includes('/packs/')).length;
      expect(packs).toBeLessThanOrEqual(Math.max(2, packsBefore + 1));
    }
  });

  it('gets through a network that refuses, loses answers, cuts and is late, and so does what reads it', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.infiniteStream(fc.constantFrom<Fault>('none', 'none', 'refused', 'lost', 'short', 'late')),
        async (faults) => {
          store = new MemoryStore();
          const faulty = new FaultyStore(store, () => faults.next().value ?? 'none');
          const effects = { wait: async () => {}, random: () => 0 };
          const network = new RetryingStore(faulty, { attempts: 30, baseMs: 1, capMs: 1 }, effects);
          const content = noise(20);
          await put(newScope(network), 'one', content);
          expect((await fetch('one', network)).equals(content)).toBe(true);
        },
      ),
      { numRuns: 30 },
    );
  });

  it('of two hosts at once under one name ends with one of them', async () => {
    const content = noise(50);
    await Promise.all([put(newScope(store), 'one', content), put(newScope(store), 'one', content)]);
    expect((await fetch('one')).equals(content)).toBe(true);
  });

  it('that took too long is not finished, because what it builds upon may be gone', async () => {
    const file = path.join(dir, 'slow');
    await writeFile(file, noise(3));
    const source = { name: 'slow', files: [{ name: 'm', path: file, parentPath: null }], parent: null, meta: {}, group: 'g' };
    const slow = storeLayer(
      newScope(store),
      { ...source, checkpoint: false, createdAt: '2026-01-01T00:00:00.000Z' },
      { startStopwatch: () => () => 7 * 3_600_000 },
    );
    await expect(slow).rejects.toMatchObject({ retryable: true });
    expect(await findRef(store, key, 'slow')).toBeNull();
  });
});
