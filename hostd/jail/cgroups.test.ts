import { describe, expect, it } from 'vitest';
import { Cgroups, findCgroup2 } from './cgroups.ts';
import { cgroupLimits } from './limits.ts';
import { FakeCgroupFiles } from './testing/fake-cgroup-files.ts';

const MOUNT = '/sys/fs/cgroup';
const PLACE = { mount: MOUNT, parent: `${MOUNT}/delegated/warren`, prefix: 'k1' };
const LIMITS = cgroupLimits(
  { memoryMiB: 512, vcpus: 1, diskBytes: 0, accelerator: 'kvm' },
  { device: '8:0', bytesPerSecond: 1000 },
);

describe('the cgroup v2 hierarchy', () => {
  it('is found where it is mounted, also beside v1', () => {
    const v1 = '31 23 0:27 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids';
    const v2 = '32 23 0:28 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw';
    expect(findCgroup2(`${v1}\n${v2}\n`)).toBe('/sys/fs/cgroup/unified');
    expect(findCgroup2(v1)).toBeNull();
  });
});

describe('a machine’s cgroup', () => {
  it('has every limit, because each level above passes the controllers on', async () => {
    const files = new FakeCgroupFiles(MOUNT, ['cpuset', 'cpu', 'io', 'memory', 'pids']);
    const cgroups = await Cgroups.open(PLACE, files);
    expect(cgroups.controllers).toEqual(['cpu', 'memory', 'io', 'pids']);
    const dir = await cgroups.make('mch_1', LIMITS);
    expect(dir).toBe(`${PLACE.parent}/k1-mch_1`);
    expect(Object.fromEntries(files.dirs.get(dir)!.files)).toEqual(LIMITS);
    expect([...files.dirs.get(MOUNT)!.enabled]).not.toContain('cpuset');
  });

  it('has those limits whose controllers this host has', async () => {
    const files = new FakeCgroupFiles(MOUNT, ['pids']);
    const cgroups = await Cgroups.open(PLACE, files);
    expect(cgroups.controllers).toEqual(['pids']);
    const dir = await cgroups.make('mch_1', LIMITS);
    expect([...files.dirs.get(dir)!.files.keys()]).toEqual(['pids.max']);
  });

  it('is refused with the value that the kernel does not take', async () => {
    const cgroups = await Cgroups.open(PLACE, new FakeCgroupFiles(MOUNT, ['cpu']));
    await expect(cgroups.make('mch_1', { 'cpu.max': 'NaN 1' })).rejects.toThrow('cpu.max of /sys/fs/cgroup/delegated');
  });

  it('is removed once it is empty, and other hostds’ stay', async () => {
    const files = new FakeCgroupFiles(MOUNT, ['pids']);
    const mine = await Cgroups.open(PLACE, files);
    const other = await Cgroups.open({ ...PLACE, prefix: 'k2' }, files);
    const [dir, theirs] = [await mine.make('mch_1', LIMITS), await other.make('mch_1', LIMITS)];

    files.dirs.get(dir)!.processes = 1;
    const removing = mine.remove('mch_1');
    files.dirs.get(dir)!.processes = 0;
    await removing;
    await mine.remove('mch_1');
    expect([files.dirs.has(dir), files.dirs.has(theirs)]).toEqual([false, true]);
  });
});
