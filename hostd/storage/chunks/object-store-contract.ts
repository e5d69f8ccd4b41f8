import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ObjectMissing, type ObjectStore, StoreFailure } from './object-store.ts';

/** What every object store must do, run against each. @param open an empty store, and how to end it */
export function describeObjectStore(name: string, open: () => Promise<{ store: ObjectStore; close: () => Promise<void> }>): void {
  describe(`an object store in ${name}`, () => {
    let store: ObjectStore;
    let close = async () => {};
    beforeAll(async () => {
      ({ store, close } = await open());
    });
    afterAll(() => close());

    const keysUnder = async (prefix: string) => {
      const keys: string[] = [];
      for await (const { key } of store.list(prefix)) keys.push(key);
      return keys.sort();
    };

    it('says that there is no object, in whichever way it is asked', async () => {
      await expect(store.get('v1/none')).rejects.toBeInstanceOf(ObjectMissing);
      await expect(store.get('v1/none', { offset: 0, length: 4 })).rejects.toBeInstanceOf(ObjectMissing);
      expect(await store.size('v1/none')).toBeNull();
      expect(await keysUnder('v1/none/')).toEqual([]);
      await store.remove('v1/none');
    });

    it('gives back what was put, whole and in parts', async () => {
      const bytes = randomBytes(3_000_000);
      await store.put('v1/a/big', bytes);
      expect(await store.size('v1/a/big')).toBe(bytes.length);
      expect((await store.get('v1/a/big')).equals(bytes)).toBe(true);
      const part = await store.get('v1/a/big', { offset: 1_000_001, length: 77_777 });
      expect(part.equals(bytes.subarray(1_000_001, 1_077_778))).toBe(true);
    });

    it('refuses to give fewer bytes than were asked for', async () => {
      await store.put('v1/a/short', Buffer.alloc(100));
      await expect(store.get('v1/a/short', { offset: 50, length: 60 })).rejects.toBeInstanceOf(StoreFailure);
      expect(await store.get('v1/a/short', { offset: 50, length: 0 })).toHaveLength(0);
    });

    it('holds empty objects', async () => {
      await store.put('v1/a/empty', Buffer.alloc(0));
      expect(await store.get('v1/a/empty')).toHaveLength(0);
      expect(await store.size('v1/a/empty')).toBe(0);
    });

    it('replaces an object that is put again, and loses it once it is removed', async () => {
      await store.put('v1/b/x', Buffer.from('one'));
      await store.put('v1/b/x', Buffer.from('two'));
      expect((await store.get('v1/b/x')).toString()).toBe('two');
      await store.remove('v1/b/x');
      await store.remove('v1/b/x');
      expect(await store.size('v1/b/x')).toBeNull();
    });

    it('lists what is under a prefix and nothing else, with sizes and times', async () => {
      const before = Date.now();
      for (let index = 0; index < 25; index += 1) await store.put(`v1/c/${index}`, Buffer.alloc(index));
      await store.put('v1/cc/other', Buffer.alloc(1));
      expect(await keysUnder('v1/c/')).toEqual(Array.from({ length: 25 }, (_, index) => `v1/c/${index}`).sort());
      for await (const { key, bytes, modifiedAtMs } of store.list('v1/c/')) {
        expect(bytes).toBe(Number(key.slice('v1/c/'.length)));
        // A server's clock may count whole seconds.
        expect(Math.abs(modifiedAtMs - before)).toBeLessThan(120_000);
      }
    });

    it('takes many at once, each whole', async () => {
      const objects = Array.from({ length: 16 }, (_, index) => ({ key: `v1/d/${index}`, bytes: randomBytes(200_000) }));
      await Promise.all(objects.map(({ key, bytes }) => store.put(key, bytes)));
      for (const { key, bytes } of objects) expect((await store.get(key)).equals(bytes)).toBe(true);
    });
  });
}
