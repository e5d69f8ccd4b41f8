import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DirectoryStore } from './directory-store.ts';
import { ObjectMissing, StoreFailure } from './object-store.ts';
import { describeObjectStore } from './object-store-contract.ts';
import { decideWait, RetryingStore } from './retrying-store.ts';
import { S3Store } from './s3-store.ts';
import { FaultyStore } from './testing/faulty-store.ts';
import { MemoryStore } from './testing/memory-store.ts';
import { S3TestServer, TEST_BUCKET, TEST_CREDENTIALS } from './testing/s3-server.ts';

async function openDirectory() {
  const dir = await mkdtemp(path.join(os.tmpdir(), 'warren-objects-'));
  return { store: new DirectoryStore(dir), dir, close: () => rm(dir, { recursive: true }) };
}

async function openS3(credentials = TEST_CREDENTIALS) {
  const server = new S3TestServer();
  const endpoint = await server.listen();
  const store = new S3Store({ bucket: TEST_BUCKET, prefix: 'some/where', region: 'us-east-1', endpoint, credentials });
  return { store, server, close: () => server.close() };
}

describeObjectStore('a directory', openDirectory);
describeObjectStore('S3', openS3);
describeObjectStore('memory', async () => ({ store: new MemoryStore(), close: async () => {} }));

describe('a directory as object store', () => {
  it('never shows an object that is half written, and clears away what dead writers left', async () => {
    const { store, dir, close } = await openDirectory();
    await store.put('v1/a/x', Buffer.from('x'));
    const dead = path.join(dir, 'v1', 'a', 'y.0123456789ab.new');
    const busy = path.join(dir, 'v1', 'a', 'z.0123456789ab.new');
    for (const file of [dead, busy]) await writeFile(file, 'half');
    await utimes(dead, new Date(0), new Date(0));
    const listed: string[] = [];
    for await (const { key } of store.list('v1/')) listed.push(key);
    expect(listed).toEqual(['v1/a/x']);
    expect((await readdir(path.join(dir, 'v1', 'a'))).sort()).toEqual(['x', 'z.0123456789ab.new']);
    await close();
  });

  it('refuses keys that lead out of it', async () => {
    const { store, close } = await openDirectory();
    await expect(store.put('../x', Buffer.alloc(1))).rejects.toBeInstanceOf(StoreFailure);
    await expect(store.get('v1/../../x')).rejects.toBeInstanceOf(StoreFailure);
    await close();
  });
});

describe('S3 as object store', () => {
  let open: Awaited<ReturnType<typeof openS3>>;
  beforeEach(async () => {
    open = await openS3();
  });
  afterEach(() => open.close());

  it('is refused with wrong credentials, and trying again does not help', async () => {
    const other = await openS3({ ...TEST_CREDENTIALS, secretAccessKey: 'wrong' });
    await expect(other.store.put('v1/x', Buffer.alloc(1))).rejects.toMatchObject({ retryable: false });
    await other.close();
  });

  // The answer to HEAD has no body that could name the error.
  it.each<[string, (store: S3Store) => Promise<unknown>]>([
    ['get', (store) => store.get('v1/x')],
    ['size', (store) => store.size('v1/x')],
  ])('learns the time from a server that finds the clock wrong: %s', async (_, ask) => {
    await open.store.put('v1/x', Buffer.alloc(1));
    open.server.aheadMs = 3_600_000;
    await expect(ask(open.store)).rejects.toMatchObject({ retryable: true, message: expect.stringContaining('HTTP 403') });
    await ask(open.store);
  });

  it('says that a busy server and a broken download may be tried again, and a retry gets through', async () => {
    await open.store.put('v1/x', Buffer.alloc(100_000, 7));
    open.server.failures = 1;
    await expect(open.store.get('v1/x')).rejects.toMatchObject({ retryable: true });
    open.server.cuts = 1;
    await expect(open.store.get('v1/x')).rejects.toMatchObject({ retryable: true });
    open.server.failures = 2;
    open.server.cuts = 1;
    const waits: number[] = [];
    const wait = async (ms: number) => void waits.push(ms);
    const retrying = new RetryingStore(open.store, { attempts: 5, baseMs: 100, capMs: 1000 }, { wait, random: () => 0.5 });
    expect(await retrying.get('v1/x')).toHaveLength(100_000);
    expect(waits).toEqual([50, 100, 200]);
  });

  it('keeps its objects below its prefix', async () => {
    await open.store.put('v1/x', Buffer.alloc(1));
    expect([...open.server.objects.keys()]).toEqual(['some/where/v1/x']);
  });

  it('says when nobody is there', async () => {
    const endpoint = await new S3TestServer().listen();
    await open.close();
    const nobody = new S3Store({
      bucket: 'b',
      prefix: '',
      region: 'r',
      endpoint: endpoint.replace(/\d+$/, '1'),
      credentials: TEST_CREDENTIALS,
    });
    await expect(nobody.size('v1/x')).rejects.toMatchObject({ retryable: true });
    open = await openS3();
  });
});

describe('retrying', () => {
  it('waits a random part of a time that doubles up to a cap', () => {
    fc.assert(
      fc.property(fc.nat(30), fc.double({ min: 0, max: 0.999, noNaN: true }), (attempt, random) => {
        const waitMs = decideWait(attempt, { attempts: 10, baseMs: 100, capMs: 5000 }, random);
        expect(waitMs).toBeGreaterThanOrEqual(0);
        expect(waitMs).toBeLessThanOrEqual(Math.min(5000, 100 * 2 ** attempt));
      }),
    );
  });

  it('gives up after so many tries, and at once where trying again does not help', async () => {
    const faulty = new FaultyStore(new MemoryStore(), () => 'refused');
    const policy = { attempts: 4, baseMs: 1, capMs: 1 };
    const effects = { wait: async () => {}, random: () => 0 };
    await expect(new RetryingStore(faulty, policy, effects).put('v1/x', Buffer.alloc(1))).rejects.toBeInstanceOf(StoreFailure);
    expect(faulty.requests).toBe(4);
    const empty = new FaultyStore(new MemoryStore(), () => 'none');
    await expect(new RetryingStore(empty, policy, effects).get('v1/x')).rejects.toBeInstanceOf(ObjectMissing);
    expect(empty.requests).toBe(1);
  });
});
