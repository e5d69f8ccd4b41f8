import { randomBytes } from 'node:crypto';
import { access, mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { SnapshotView } from '../../contract/machines.ts';
import type { Machines } from '../../machines/machines.ts';
import { aRequest, IMAGE_ID, makeFakeWorld } from '../../machines/testing/fake-world.ts';
import { NotAuthentic } from '../chunks/keys.ts';
import { StoreFailure } from '../chunks/object-store.ts';
import { type Fault, FaultyStore } from '../chunks/testing/faulty-store.ts';
import { MemoryStore } from '../chunks/testing/memory-store.ts';
import { S3TestServer, TEST_BUCKET, TEST_CREDENTIALS } from '../chunks/testing/s3-server.ts';
import { LocalEngine } from './engine.ts';
import { parseStoreLocation } from './open-store.ts';
import { ThreadedEngine } from './threaded-engine.ts';

/* Machines that are not real, on hosts that share nothing but an object store. */
const MACHINE = 'mch_0000000001';
const key = { id: 'k-org', secret: randomBytes(32).toString('base64') };
const replicate = { key, group: 'session' };
const snapshotId = (number: number) => `snp_000000000${number}`;

let objects: MemoryStore;
let fault: (verb: string, key: string) => Fault = () => 'none';
const worlds: Awaited<ReturnType<typeof makeFakeWorld>>[] = [];

type World = { world: Awaited<ReturnType<typeof makeFakeWorld>>; machines: Machines };

async function aHost(withStore = true): Promise<World> {
  const world = await makeFakeWorld();
  worlds.push(world);
  const image = world.layout.image(IMAGE_ID);
  for (const file of [image.kernel, image.initrd]) await writeFile(file, 'kernel');
  const engine = new LocalEngine(new FaultyStore(objects, (verb, name) => fault(verb, name)), world.layout.chunkCache);
  const { machines } = await world.open(undefined, undefined, 0, withStore ? engine : undefined);
  return { world, machines };
}

beforeEach(() => {
  objects = new MemoryStore();
  fault = () => 'none';
});
afterEach(async () => {
  for (const world of worlds.splice(0)) await world.remove();
});

let lease = 0;
/** Makes or wakes the machine, dirties its memory and its disk, and puts it to sleep. */
async function sleepOnce({ world, machines }: World, number: number, options: { replicate?: typeof replicate } = { replicate }) {
  lease += 1;
  const source = number === 1 ? ({ kind: 'image' } as const) : ({ kind: 'resume', snapshotId: snapshotId(number - 1) } as const);
  const machine = await machines.create(MACHINE, aRequest(source, lease));
  // The memory of a machine that is not real is its files, as text.
  for (const process of world.host.processes.values())
    if (process.state === 'running') process.guest.files[`/note-${number}`] = randomBytes(1000).toString('hex');
  const disk = await open(world.layout.machine(MACHINE).vm.disk, 'r+');
  await disk.write(randomBytes(4096), 0, 4096, number * 3 * 4096).finally(() => disk.close());
  const { snapshot } = await machines.suspend(MACHINE, { lease, snapshotId: snapshotId(number), ...options });
  return { machine, snapshot };
}

async function settled({ machines }: World, number: number): Promise<SnapshotView> {
  return vi.waitFor(
    async () => {
      const view = await machines.snapshot(snapshotId(number));
      if (view.durability === 'local' && view.replication?.state !== 'failed') throw new Error('still under way');
      return view;
    },
    { timeout: 20_000, interval: 20 },
  );
}

async function firstPages(file: string): Promise<Buffer> {
  const handle = await open(file, 'r');
  return (await handle.read(Buffer.alloc(64 * 4096), 0, 64 * 4096, 0).finally(() => handle.close())).buffer;
}

const contentOf = async ({ world }: World, number: number) => {
  const files = world.layout.snapshot(snapshotId(number));
  // The rest of both are zeros.
  const [memory, disk] = await Promise.all([files.memory, files.disk].map(firstPages));
  return [memory, disk, await readFile(files.deviceState)];
};

describe('a host without an object store', () => {
  it('keeps snapshots to itself, and says what is missing when it is asked for a copy', async () => {
    const host = await aHost(false);
    const { snapshot } = await sleepOnce(host, 1);
    expect(snapshot).toMatchObject({ durability: 'local', here: true, replica: null, replication: null });
    const asked = host.machines.replicate(snapshotId(1), replicate);
    await expect(asked).rejects.toMatchObject({
      code: 'missing_dependency',
      message: expect.stringContaining('HOSTD_OBJECT_STORE'),
    });
    expect((await host.machines.host()).objectStore).toBeNull();
  });
});

describe('a snapshot', () => {
  it('is local first and replicated in time, over its parent and over its image', async () => {
    const host = await aHost();
    const { snapshot } = await sleepOnce(host, 1);
    expect(snapshot.durability).toBe('local');
    expect(await settled(host, 1)).toMatchObject({
      durability: 'replicated',
      here: true,
      replica: { keyId: 'k-org' },
      replication: null,
    });
    await sleepOnce(host, 2);
    const second = await settled(host, 2);
    // A page or two of each and what names them; not the machine again.
    expect(second.replica!.storedBytes).toBeLessThan(4 * 4096);
    expect([...objects.objects.keys()].filter((name) => name.includes('/refs/image-'))).toHaveLength(1);
  });

  it('whose parent was not copied takes it along', async () => {
    const host = await aHost();
    await sleepOnce(host, 1, {});
    await sleepOnce(host, 2);
    await settled(host, 2);
    expect((await host.machines.snapshot(snapshotId(1))).durability).toBe('replicated');
  });

  it('whose parent is deleted before its turn comes is stored over it all the same', async () => {
    const host = await aHost();
    await sleepOnce(host, 1);
    await settled(host, 1);
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const find = vi.spyOn(LocalEngine.prototype, 'store').mockImplementationOnce(async function (this: LocalEngine, ...args) {
      await held;
      return this.store(...args);
    });
    await sleepOnce(host, 2);
    await host.machines.removeSnapshot(snapshotId(1));
    release();
    expect((await settled(host, 2)).replica!.storedBytes).toBeLessThan(4 * 4096);
    await vi.waitFor(async () => expect(await readdir(host.world.layout.pins)).toEqual([]));
    find.mockRestore();
  });

  it('that is deleted before its turn comes, or while it is copied, leaves no copy behind', async () => {
    const host = await aHost();
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const store = vi.spyOn(LocalEngine.prototype, 'store').mockImplementationOnce(async function (this: LocalEngine, ...args) {
      await held;
      return this.store(...args);
    });
    await sleepOnce(host, 1);
    await sleepOnce(host, 2);
    expect((await host.machines.snapshot(snapshotId(2))).replication?.state).toBe('waiting');
    await host.machines.removeSnapshot(snapshotId(2));
    const removed = host.machines.removeSnapshot(snapshotId(1));
    release();
    await removed;
    expect(await host.machines.snapshots()).toEqual([]);
    expect([...objects.objects.keys()].filter((name) => name.includes('/refs/snp_'))).toEqual([]);
    store.mockRestore();
  });

  it('stays local with the reason when the store fails, and is copied when it is asked for again', async () => {
    const host = await aHost();
    fault = (verb) => (verb === 'put' ? 'refused' : 'none');
    await sleepOnce(host, 1);
    const failed = await settled(host, 1);
    expect(failed).toMatchObject({
      durability: 'local',
      here: true,
      replication: { state: 'failed', error: expect.stringContaining('503') },
    });
    fault = () => 'none';
    await host.machines.replicate(snapshotId(1), replicate);
    expect((await settled(host, 1)).durability).toBe('replicated');
  });

  it('is only in the store once it is evicted, refuses to be resumed from nothing, and comes back the same', async () => {
    const host = await aHost();
    const { machine } = await sleepOnce(host, 1);
    await settled(host, 1);
    const before = await contentOf(host, 1);
    expect(await host.machines.evict(snapshotId(1), key)).toMatchObject({
      durability: 'replicated',
      here: false,
      storedBytes: 0,
    });
    await expect(access(host.world.layout.snapshot(snapshotId(1)).memory)).rejects.toThrow();
    lease += 1;
    const request = aRequest({ kind: 'resume', snapshotId: snapshotId(1) }, lease);
    await expect(host.machines.create(MACHINE, request)).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('fetch'),
    });
    expect(await host.machines.fetchSnapshot(snapshotId(1), { keys: [key] })).toMatchObject({
      here: true,
      durability: 'replicated',
    });
    expect(await contentOf(host, 1)).toEqual(before);
    expect((await host.machines.create(MACHINE, request)).bootId).toBe(machine.bootId);
  });

  it('is not evicted without a whole copy', async () => {
    const host = await aHost();
    await sleepOnce(host, 1, {});
    await expect(host.machines.evict(snapshotId(1), key)).rejects.toMatchObject({ code: 'conflict' });
    await host.machines.replicate(snapshotId(1), replicate);
    await settled(host, 1);
    for (const name of objects.objects.keys()) if (name.includes('/packs/')) objects.objects.delete(name);
    await expect(host.machines.evict(snapshotId(1), key)).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('not whole'),
    });
    expect(await host.machines.snapshot(snapshotId(1))).toMatchObject({ durability: 'local', here: true });
    await access(host.world.layout.snapshot(snapshotId(1)).memory);
    await host.machines.replicate(snapshotId(1), replicate);
    await settled(host, 1);
    expect(await host.machines.evict(snapshotId(1), key)).toMatchObject({ durability: 'replicated', here: false });
  });

  it('whose parent can no longer be linked is copied all the same', async () => {
    const host = await aHost();
    await sleepOnce(host, 1);
    await settled(host, 1);
    await sleepOnce(host, 2, {});
    await rm(host.world.layout.snapshot(snapshotId(1)).deviceState);
    await host.machines.replicate(snapshotId(2), replicate);
    expect(await settled(host, 2)).toMatchObject({ durability: 'replicated', replication: null });
  });

  it('takes its copy along when it is deleted', async () => {
    const host = await aHost();
    await sleepOnce(host, 1);
    await settled(host, 1);
    await host.machines.removeSnapshot(snapshotId(1));
    expect([...objects.objects.keys()].filter((name) => name.endsWith(snapshotId(1)))).toEqual([]);
    expect(await host.machines.collect({ key })).toMatchObject({ refsDropped: 0 });
  });
});

describe('another host', () => {
  it('resumes from the store what it never had, under its own signature, as the same machine', async () => {
    const first = await aHost();
    const { machine } = await sleepOnce(first, 1);
    await sleepOnce(first, 2);
    await settled(first, 2);
    const second = await aHost();
    await second.machines.fetchSnapshot(snapshotId(2), { keys: [key] });
    expect(await contentOf(second, 2)).toEqual(await contentOf(first, 2));
    lease += 1;
    const woken = await second.machines.create(MACHINE, aRequest({ kind: 'resume', snapshotId: snapshotId(2) }, lease));
    expect(woken.bootId).toBe(machine.bootId);
    expect(await readdir(second.world.layout.fetches)).toEqual([]);
  });

  it('fetches an image that it does not have, for cold boots', async () => {
    const first = await aHost();
    await sleepOnce(first, 1);
    await settled(first, 1);
    const second = await aHost();
    const image = second.world.layout.image(IMAGE_ID);
    await rm(image.dir, { recursive: true });
    await second.machines.fetchSnapshot(snapshotId(1), { keys: [key] });
    expect(await readFile(image.kernel, 'utf8')).toBe('kernel');
    lease += 1;
    await second.machines.create(MACHINE, aRequest({ kind: 'disk', snapshotId: snapshotId(1) }, lease));
  });

  it('is given nothing under another key, and uses a former one when it is told it', async () => {
    const first = await aHost();
    await sleepOnce(first, 1);
    await settled(first, 1);
    const { machines } = await aHost();
    const other = { id: 'k-org', secret: randomBytes(32).toString('base64') };
    await expect(machines.fetchSnapshot(snapshotId(1), { keys: [other] })).rejects.toMatchObject({ code: 'incompatible' });
    const next = { id: 'k-next', secret: other.secret };
    await expect(machines.fetchSnapshot(snapshotId(1), { keys: [next] })).rejects.toMatchObject({ code: 'not_found' });
    await machines.fetchSnapshot(snapshotId(1), { keys: [next, key] });
  });

  it('takes nothing of a copy with one wrong bit, and nothing half when it is cut off', async () => {
    const first = await aHost();
    await sleepOnce(first, 1);
    await settled(first, 1);
    const second = await aHost();
    // The last one is the snapshot's; the image is here.
    const pack = [...objects.objects.keys()].filter((name) => name.includes('/packs/')).at(-1)!;
    const good = Buffer.from(objects.objects.get(pack)!.bytes);
    objects.objects.get(pack)!.bytes[100]! ^= 1;
    await expect(second.machines.fetchSnapshot(snapshotId(1), { keys: [key] })).rejects.toMatchObject({ code: 'incompatible' });
    expect(await second.machines.snapshots()).toEqual([]);
    objects.objects.get(pack)!.bytes = good;
    fault = (verb, name) => (verb === 'get' && name.includes('/packs/') ? 'refused' : 'none');
    await expect(second.machines.fetchSnapshot(snapshotId(1), { keys: [key] })).rejects.toMatchObject({ code: 'store_failed' });
    expect(await second.machines.snapshots()).toEqual([]);
    fault = () => 'none';
    await second.machines.fetchSnapshot(snapshotId(1), { keys: [key] });
    expect(await contentOf(second, 1)).toEqual(await contentOf(first, 1));
  });
});

describe('an engine in a thread', () => {
  let dir: string;
  let server: S3TestServer;
  let endpoint: string;
  beforeEach(async () => {
    dir = await mkdtemp(path.join(os.tmpdir(), 'warren-engine-'));
    server = new S3TestServer();
    endpoint = await server.listen();
    // As an operator gives them: the thread's SDK finds them by itself.
    vi.stubEnv('AWS_ACCESS_KEY_ID', TEST_CREDENTIALS.accessKeyId);
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', TEST_CREDENTIALS.secretAccessKey);
  });
  afterEach(async () => {
    vi.unstubAllEnvs();
    await server.close();
    await rm(dir, { recursive: true });
  });

  it.each(['a directory', 'S3'])('over %s answers as one in this thread, errors included', async (kind) => {
    const url = kind === 'S3' ? `s3://${TEST_BUCKET}/copies?endpoint=${endpoint}` : `file://${dir}/objects`;
    const engine = new ThreadedEngine({ location: parseStoreLocation(url), cacheDir: `${dir}/cache` });
    const storeKey = { id: key.id, secret: Buffer.from(key.secret, 'base64') };
    const content = randomBytes(40 * 4096);
    await writeFile(`${dir}/file`, content);
    const files = [{ name: 'm', path: `${dir}/file`, parentPath: null }];
    const source = { name: 'one', files, parent: null, meta: { a: 1 }, group: 'g', checkpoint: false };
    const seen: number[] = [];
    const stored = await engine.store(storeKey, { ...source, createdAt: '2026-01-01T00:00:00.000Z' }, ({ pagesRead }) =>
      seen.push(pagesRead),
    );
    expect(seen.at(-1)).toBe(40);
    expect(await engine.find([storeKey], 'one')).toMatchObject({ layerId: stored.layerId, meta: { a: 1 } });
    await engine.restore(storeKey, stored.layerId, [{ name: 'm', path: `${dir}/back` }], {});
    expect((await readFile(`${dir}/back`)).equals(content)).toBe(true);
    await expect(engine.find([{ ...storeKey, secret: randomBytes(32) }], 'one')).rejects.toBeInstanceOf(NotAuthentic);
    const lost = engine.collect(storeKey, undefined);
    await engine.close();
    await expect(lost).rejects.toBeInstanceOf(StoreFailure);
    // The next request starts another thread.
    expect(await engine.isWhole(storeKey, 'one')).toBe(true);
    await engine.close();
  });
});

describe('where the copies go', () => {
  it.each([
    ['file:///mnt/copies', { kind: 'directory', path: '/mnt/copies' }],
    ['s3://bucket', { kind: 's3', bucket: 'bucket', prefix: '', region: 'us-east-1', endpoint: null }],
    [
      's3://bucket/some/where/?region=eu-1&endpoint=https://s3.example.com',
      { kind: 's3', bucket: 'bucket', prefix: 'some/where', region: 'eu-1', endpoint: 'https://s3.example.com' },
    ],
  ])('is read from %s', (text, location) => {
    expect(parseStoreLocation(text)).toEqual(location);
  });

  it.each([
    'copies',
    'file://host/copies',
    'https://s3.example.com/bucket',
    's3://',
    's3://key:secret@bucket',
    's3://bucket?endpoint=ftp://x',
  ])('is refused as %s, with what it should be', (text) => {
    expect(() => parseStoreLocation(text)).toThrow(/s3:\/\/|AWS_ACCESS_KEY_ID|https:\/\//);
  });
});
