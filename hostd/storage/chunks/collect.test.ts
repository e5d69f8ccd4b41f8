import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { collect } from './collect.ts';
import type { Scan } from './extents.ts';
import { PAGE_BYTES } from './format.ts';
import type { StoreKey } from './keys.ts';
import { readChain } from './layer.ts';
import type { ObjectStore } from './object-store.ts';
import { PageIndex } from './page-index.ts';
import { findRef, removeRef } from './refs.ts';
import { restoreLayer } from './restore-layer.ts';
import { decideRetention } from './retention.ts';
import { Scope } from './scope.ts';
import { type StoredLayer, storeLayer } from './store-layer.ts';
import { FaultyStore } from './testing/faulty-store.ts';
import { MemoryStore } from './testing/memory-store.ts';
import { Turns } from './testing/turns.ts';

const HOUR = 3_600_000;
const RUNS = 40;
const key: StoreKey = { id: 'k-test', secret: randomBytes(32) };
let dir: string;
let count = 0;
beforeAll(async () => {
  dir = await mkdtemp(path.join(os.tmpdir(), 'warren-collect-'));
});
afterAll(() => rm(dir, { recursive: true }));

/** A few contents that snapshots are made of, so that they share pages in every way. */
const PAGES = Array.from({ length: 6 }, () => randomBytes(PAGE_BYTES));
const contentOf = (parts: readonly number[]) => Buffer.concat(parts.map((part) => PAGES[part]!));

type World = { store: MemoryStore; now: number };
const aWorld = (): World => {
  const world = { now: Date.parse('2026-01-01T00:00:00Z') } as World;
  world.store = new MemoryStore(() => world.now);
  return world;
};

/** A host that remembers what it wrote, as hosts do. */
class Host {
  readonly #cacheDir = path.join(dir, `host-${++count}`);
  readonly #world: World;
  constructor(world: World) {
    this.#world = world;
  }

  async put(over: ObjectStore, name: string, parts: readonly number[], parent: string | null): Promise<StoredLayer> {
    const file = path.join(dir, `file-${++count}`);
    await writeFile(file, contentOf(parts));
    const scope = new Scope({ store: over, key, cacheDir: this.#cacheDir, index: new PageIndex(64) });
    const source = {
      name,
      files: [{ name: 'm', path: file, parentPath: null }],
      parent,
      meta: {},
      group: 'g',
      checkpoint: false,
    };
    const world = this.#world;
    const began = world.now;
    const createdAt = new Date(began).toISOString();
    return storeLayer(scope, { ...source, createdAt }, { startStopwatch: () => () => world.now - began, scan: scanAll });
  }
}

/** Thousands of uploads need no process each to ask the file system. */
async function scanAll(file: string): Promise<Scan> {
  return { ranges: [{ page: 0, end: Math.ceil((await stat(file)).size / PAGE_BYTES) }], by: 'all' };
}

/** Each request waits until it is its lane's turn. */
function inTurn(turns: Turns, lane: number, store: ObjectStore): ObjectStore {
  return {
    location: '',
    put: (...args) => turns.take(lane).then(() => store.put(...args)),
    get: (...args) => turns.take(lane).then(() => store.get(...args)),
    size: (...args) => turns.take(lane).then(() => store.size(...args)),
    remove: (...args) => turns.take(lane).then(() => store.remove(...args)),
    list: async function* (prefix) {
      await turns.take(lane);
      yield* store.list(prefix);
    },
  };
}

async function read(store: ObjectStore, name: string): Promise<Buffer> {
  const ref = await findRef(store, key, name);
  if (!ref) throw new Error(`${name} is not there`);
  const scope = new Scope({ store, key, cacheDir: path.join(dir, `reader-${++count}`), index: new PageIndex(64) });
  const target = path.join(dir, `back-${++count}`);
  await restoreLayer(scope, await readChain(store, key, scope.table, ref.layer), [{ name: 'm', path: target }]);
  return readFile(target);
}

const namesOf = (store: MemoryStore, kind: string) => [...store.objects.keys()].filter((name) => name.includes(`/${kind}/`));

describe('a collection', () => {
  it('removes what nothing needs, in two steps and not before its grace, and keeps what a child needs of its parent', async () => {
    const world = aWorld();
    const host = new Host(world);
    const { layerId: parent } = await host.put(world.store, 'parent', [0, 1, 2], null);
    await host.put(world.store, 'child', [0, 1, 3], parent);
    await host.put(world.store, 'alone', [4, 5], null);
    const now = () => world.now;
    await removeRef(world.store, key, 'parent');
    await removeRef(world.store, key, 'alone');
    expect(await collect(world.store, key, { now })).toMatchObject({ condemned: 0, removed: 0 });
    world.now += 25 * HOUR;
    // The pack and the layer of `alone`; the parent's layer is below the child's, and its pack shows through.
    expect(await collect(world.store, key, { now })).toMatchObject({ condemned: 2, removed: 0 });
    world.now += 23 * HOUR;
    expect(await collect(world.store, key, { now })).toMatchObject({ condemned: 0, removed: 0 });
    world.now += 2 * HOUR;
    expect(await collect(world.store, key, { now })).toMatchObject({ removed: 2, refsKept: 1 });
    expect(namesOf(world.store, 'condemned')).toEqual([]);
    expect((await read(world.store, 'child')).equals(contentOf([0, 1, 3]))).toBe(true);
  });

  it('removes nothing when a layer cannot be read', async () => {
    const world = aWorld();
    const host = new Host(world);
    await host.put(world.store, 'a', [0], null);
    await host.put(world.store, 'b', [1], null);
    await removeRef(world.store, key, 'b');
    world.store.objects.get(namesOf(world.store, 'refs')[0]!)!.bytes[20]! ^= 1;
    const before = world.store.objects.size;
    world.now += 100 * HOUR;
    await expect(collect(world.store, key, { now: () => world.now })).rejects.toThrow();
    expect(world.store.objects.size).toBe(before);
  });

  it('drops the refs that its retention rules let go', async () => {
    const world = aWorld();
    const host = new Host(world);
    for (const name of ['s1', 's2', 's3']) {
      await host.put(world.store, name, [0, 1], null);
      world.now += HOUR;
    }
    const result = await collect(world.store, key, { now: () => world.now, retention: { keepLast: 2, keepCheckpoints: true } });
    expect(result).toMatchObject({ refsKept: 2, refsDropped: 1 });
    expect(await findRef(world.store, key, 's1')).toBeNull();
  });

  /**
   * One upload that would like to build upon a pack nobody needs, and two collections an hour apart. The collection does `first`
   * requests, then the upload does `then`, then the collections end, then the upload.
   */
  async function race(hoursCondemned: number | null, first: number, then: number): Promise<void> {
    const world = aWorld();
    const host = new Host(world);
    await host.put(world.store, 'old', [0, 1], null);
    await removeRef(world.store, key, 'old');
    world.now += 25 * HOUR;
    if (hoursCondemned !== null) {
      await collect(world.store, key, { now: () => world.now });
      world.now += hoursCondemned * HOUR;
    }
    const left = { collection: first, upload: then };
    const turns = new Turns(2, (waiting) => {
      const who = left.collection-- > 0 ? 0 : left.upload-- > 0 ? 1 : 0;
      return Math.max(0, waiting.indexOf(who));
    });
    const collections = async () => {
      await collect(inTurn(turns, 0, world.store), key, { now: () => world.now });
      world.now += HOUR;
      await collect(inTurn(turns, 0, world.store), key, { now: () => world.now });
      turns.leave(0);
    };
    const upload = async () => {
      await host.put(inTurn(turns, 1, world.store), 'new', [0, 1], null);
      turns.leave(1);
    };
    await Promise.all([collections(), upload()]);
    expect((await read(world.store, 'new')).equals(contentOf([0, 1]))).toBe(true);
  }

  it.each([null, 1, 25])(
    'and an upload meet at any of their requests (condemned for %s hours): what is uploaded is there',
    { timeout: 120_000 },
    async (hours) => {
      // Twelve requests are more than either makes before it writes or removes.
      for (let first = 0; first <= 12; first += 1) for (const then of [0, 1, 2, 3, 5, 7, 9]) await race(hours, first, then);
    },
  );

  it('loses no live page, whatever runs beside it, dies or sleeps', { timeout: 600_000 }, async () => {
    const diesAt = fc.option(fc.nat(15), { freq: 6 });
    const after = fc.nat(25);
    const put = fc.record({
      after,
      kind: fc.constant('put' as const),
      // Few contents, so that most uploads find something stored that may be about to go.
      parts: fc.array(fc.nat(2), { minLength: 1, maxLength: 2 }),
      parent: fc.option(fc.nat(3)),
      diesAt,
    });
    const remove = fc.record({ after, kind: fc.constant('delete' as const), which: fc.nat(3) });
    const sweep = fc.record({ after, kind: fc.constant('collect' as const), diesAt });
    const pass = fc.record({ after, kind: fc.constant('wait' as const), hours: fc.constantFrom(1, 5, 25, 30) });
    /** What is done one after the other; the lanes run beside each other. */
    const lanes = fc.tuple(
      fc.array(fc.oneof(put, put, remove), { minLength: 2, maxLength: 8 }),
      fc.array(fc.oneof(put, remove), { maxLength: 6 }),
      fc.array(sweep, { minLength: 4, maxLength: 8 }),
      fc.array(sweep, { maxLength: 5 }),
      fc.array(pass, { minLength: 6, maxLength: 12 }),
    );
    type Act = typeof put | typeof remove | typeof sweep | typeof pass extends fc.Arbitrary<infer T> ? T : never;
    let uploads = 0;
    let reused = 0;
    let removed = 0;

    await fc.assert(
      fc.asyncProperty(fc.infiniteStream(fc.nat(1000)), lanes, async (order, todo) => {
        const world = aWorld();
        const live = new Map<string, { layerId: string; parts: readonly number[] }>();
        const turns = new Turns(todo.length, (waiting) => (order.next().value ?? 0) % waiting.length);
        const connect = (lane: number, dies: number | null): ObjectStore => {
          let requests = 0;
          return inTurn(turns, lane, new FaultyStore(world.store, () => (requests++ === dies ? 'dead' : 'none')));
        };
        const act = async (one: Act, lane: number, host: Host, name: string): Promise<void> => {
          for (let left = one.after; left > 0; left -= 1) await turns.take(lane);
          if (one.kind === 'wait') world.now += one.hours * HOUR;
          if (one.kind === 'delete') {
            const doomed = [...live.keys()][one.which];
            if (doomed === undefined) return;
            live.delete(doomed);
            await removeRef(connect(lane, null), key, doomed);
          }
          // A collection or an upload that fails is as one that was killed.
          if (one.kind === 'collect') {
            const done = await collect(connect(lane, one.diesAt), key, { now: () => world.now }).catch(() => null);
            removed += done?.removed ?? 0;
          }
          if (one.kind === 'put') {
            const parent = one.parent === null ? null : ([...live.values()][one.parent]?.layerId ?? null);
            const stored = await host.put(connect(lane, one.diesAt), name, one.parts, parent).catch(() => null);
            if (!stored) return;
            live.set(name, { layerId: stored.layerId, parts: one.parts });
            uploads += 1;
            if (stored.pagesStored === 0) reused += 1;
          }
        };
        const run = async (actions: readonly Act[], lane: number): Promise<void> => {
          const host = new Host(world);
          for (const [index, one] of actions.entries()) {
            await turns.take(lane);
            await act(one, lane, host, `s${lane}-${index}`);
          }
          turns.leave(lane);
        };
        await Promise.all(todo.map(run));
        for (const [name, { parts }] of live) expect((await read(world.store, name)).equals(contentOf(parts))).toBe(true);

        // And in the end nothing is left that nobody needs.
        for (let round = 0; round < 3; round += 1) {
          world.now += 30 * HOUR;
          await collect(world.store, key, { now: () => world.now });
        }
        for (const [name, { parts }] of live) expect((await read(world.store, name)).equals(contentOf(parts))).toBe(true);
        if (namesOf(world.store, 'refs').length === 0)
          expect([...namesOf(world.store, 'packs'), ...namesOf(world.store, 'layers')]).toEqual([]);
      }),
      { numRuns: RUNS },
    );
    // The runs were about something: uploads built upon what was there, and things were removed.
    expect(uploads).toBeGreaterThan(RUNS);
    expect(reused).toBeGreaterThan(RUNS / 4);
    expect(removed).toBeGreaterThan(RUNS / 10);
  });
});

describe('retention', () => {
  const ref = (createdAt: string, group = 'a', checkpoint = false) => ({
    name: createdAt,
    ref: { layer: '0'.repeat(64), createdAt, group, checkpoint, storedBytes: 1 },
  });
  const refs = [
    ref('2026-01-01T00:00:00Z', 'a', true),
    ref('2026-01-02T00:00:00Z'),
    ref('2026-01-03T00:00:00Z'),
    ref('2026-01-02T12:00:00Z', 'b'),
  ];
  const names = (found: { name: string }[]) => found.map(({ name }) => name.slice(8, 10)).sort();
  const now = Date.parse('2026-01-04T00:00:00Z');

  it.each([
    [{ keepCheckpoints: false }, ['01', '02', '02', '03']],
    [{ keepCheckpoints: true, keepLast: 1 }, ['01', '02', '03']],
    [{ keepCheckpoints: false, keepLast: 1 }, ['02', '03']],
    [{ keepCheckpoints: false, keepYoungerMs: 36 * HOUR }, ['03']],
    [{ keepCheckpoints: false, keepLast: 1, keepYoungerMs: 50 * HOUR }, ['02', '02', '03']],
  ])('with %j keeps days %j', (rules, kept) => {
    const { keep, drop } = decideRetention(refs, rules, now);
    expect(names(keep)).toEqual(kept);
    expect(keep.length + drop.length).toBe(refs.length);
  });
});
