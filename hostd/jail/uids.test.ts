import { mkdir, mkdtemp, readdir, readlink, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findOverlap, parseUidRange, Uids } from './uids.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(path.join(os.tmpdir(), 'warren-uids-'));
});
afterEach(() => rm(dir, { recursive: true }));

const RANGE = { first: 5000, last: 5003 };
const everyone = { passwd: 'root:x:0:0::/root:/bin/sh\n', subuid: '', uidMap: '         0          0 4294967295\n' };

describe('a range of user ids', () => {
  it.each(['', '5000', '5000-', '10-5000', '5000-5003', '5000-4000', '5000-9999999999', '-5000-6000', '5000-6000 '])(
    'is not %j',
    (text) => expect(() => parseUidRange(text)).toThrow('give first-last'),
  );

  it('is first and last', () => {
    expect(parseUidRange('1900000000-1900065535')).toEqual({ first: 1_900_000_000, last: 1_900_065_535 });
  });

  it('is refused when someone else has a part of it', () => {
    expect(findOverlap(RANGE, everyone)).toBeNull();
    expect(findOverlap(RANGE, { ...everyone, passwd: 'ann:x:5003:100::/:/bin/sh' })).toBe('5003 is the user ann');
    expect(findOverlap(RANGE, { ...everyone, subuid: 'bob:4990:11\n' })).toBe('4990-5000 are subordinate ids of bob');
    expect(findOverlap(RANGE, { ...everyone, subuid: 'bob:4990:10\n' })).toBeNull();
    expect(findOverlap(RANGE, { ...everyone, uidMap: '0 100000 5002\n' })).toContain('user namespace');
  });
});

describe('user ids', () => {
  it('are given away once, also by two hostds at the same time, until none is left', async () => {
    const [one, other] = [new Uids(RANGE, dir, 0), new Uids(RANGE, dir, 0.99)];
    const claimed = await Promise.all([one.claim('/a'), other.claim('/b'), one.claim('/c'), other.claim('/d')]);
    expect(claimed.toSorted()).toEqual([5000, 5001, 5002, 5003]);
    await expect(one.claim('/e')).rejects.toMatchObject({ code: 'no_capacity' });
    expect(await readlink(path.join(dir, String(claimed[1])))).toBe('/b');
  });

  it('are given back by their owner alone, and giving back again is fine', async () => {
    const uids = new Uids(RANGE, dir, 0);
    await uids.claim('/a');
    await uids.claim('/b');
    for (let time = 0; time < 2; time++) await uids.release('/a');
    expect(await readdir(dir)).toEqual(['5001']);
  });

  it('are taken back from machines of this hostd of which nothing is left, and from no other', async () => {
    const uids = new Uids(RANGE, dir, 0);
    await mkdir(path.join(dir, 'run', 'mch_lives'), { recursive: true });
    for (const owner of ['run/mch_lives', 'run/mch_gone', 'other/mch_gone']) await uids.claim(path.join(dir, owner));
    await uids.sweep(path.join(dir, 'run'));
    expect((await readdir(dir)).filter((name) => /^\d+$/.test(name))).toEqual(['5000', '5002']);
  });

  it('come again late: the search goes on behind the last one', async () => {
    const uids = new Uids(RANGE, dir, 0);
    expect(await uids.claim('/a')).toBe(5000);
    await uids.release('/a');
    expect(await uids.claim('/a')).toBe(5001);
  });
});
