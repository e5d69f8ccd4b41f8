import { randomBytes } from 'node:crypto';
import { access, mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { MachineView, SnapshotView } from '../../contract/machines.ts';
import { HostdProcess } from '../../machines/testing/hostd-process.ts';
import { openTestHost, whyNoVms } from '../../machines/testing/vm-host.ts';

/* One machine, two hosts that share nothing but an object store: another data directory, another host key each. */
const MACHINE = 'mch_moving0001';
const key = { id: 'k-moving', secret: randomBytes(32).toString('base64') };
const reason = await whyNoVms();

describe.skipIf(reason !== null)(`a machine that moves between hosts${reason === null ? '' : ` (skipped: ${reason})`}`, () => {
  let store: string;
  let hosts: HostdProcess[] = [];
  let machine: MachineView;
  let lease = 0;
  let snapshots = 0;

  beforeAll(async () => {
    const { layout } = await openTestHost();
    store = await mkdtemp(path.join(layout.dataDir, 'test-objects-'));
    for (let index = 0; index < 2; index += 1) {
      const hostd = await HostdProcess.make({ HOSTD_OBJECT_STORE: `file://${store}` });
      hosts.push(hostd);
      await hostd.start();
    }
  });
  afterAll(async () => {
    for (const hostd of hosts) await hostd.destroy();
    hosts = [];
    if (store) await rm(store, { recursive: true });
  });

  const create = async (hostd: HostdProcess, source: object) => {
    lease += 1;
    const body = { lease, source, memoryMiB: 768, egress: { services: [], allow: [] } };
    machine = await hostd.call<MachineView>('PUT', `machines/${MACHINE}`, body);
  };

  /** Asleep, copied, and gone from the host it slept on. */
  async function leave(hostd: HostdProcess): Promise<SnapshotView> {
    snapshots += 1;
    const snapshotId = `snp_moving000${snapshots}`;
    const replicate = { key, group: 'moving' };
    await hostd.call('POST', `machines/${MACHINE}/suspend`, { lease, snapshotId, replicate });
    // Killed over the copy it has just begun. Whoever wants it asks again.
    await hostd.kill();
    await hostd.start();
    await hostd.call('POST', `snapshots/${snapshotId}/replicate`, replicate);
    await vi.waitFor(
      async () => {
        const { durability, replication } = await hostd.call<SnapshotView>('GET', `snapshots/${snapshotId}`);
        if (replication?.state === 'failed') throw new Error(String(replication.error));
        expect(durability).toBe('replicated');
      },
      { timeout: 600_000, interval: 500 },
    );
    const left = await hostd.call<SnapshotView>('POST', `snapshots/${snapshotId}/evict`, { key });
    await expect(access(hostd.layout.snapshot(snapshotId).memory)).rejects.toThrow();
    return left;
  }

  async function arrive(hostd: HostdProcess, { snapshotId }: SnapshotView): Promise<void> {
    // Killed in the middle of it, once; what was fetched until then is not fetched again.
    const cut = hostd.send('POST', `snapshots/${snapshotId}/fetch`, { keys: [key] }).catch(() => null);
    const notes = path.join(hostd.layout.fetching(snapshotId), 'notes');
    await vi.waitFor(() => Promise.race([access(notes), access(hostd.layout.snapshot(snapshotId).memory)]), {
      timeout: 300_000,
      interval: 20,
    });
    await hostd.kill();
    await cut;
    await hostd.start();
    const here = await hostd.call<SnapshotView>('POST', `snapshots/${snapshotId}/fetch`, { keys: [key] });
    expect(here).toMatchObject({ here: true, durability: 'replicated' });
    await create(hostd, { kind: 'resume', snapshotId });
  }

  /** Everything that must be the same: kernel, process, memory, every file of a tree on the disk. */
  const proof = (hostd: HostdProcess) =>
    hostd.shell(
      MACHINE,
      [
        'cat /proc/sys/kernel/random/boot_id',
        'cut -d" " -f1,22 /proc/$(pgrep -f "^sleep 98765")/stat',
        'sha256sum </dev/shm/pattern',
        'find /etc /var/tree -xdev -type f ! -name "*.pid" -print0 | sort -z | xargs -0 sha256sum | sha256sum',
      ].join('; '),
    );

  it('is the same machine on the other host, and back again: same boot, process, memory and files', {
    timeout: 1_500_000,
  }, async () => {
    const [first, second] = hosts as [HostdProcess, HostdProcess];
    await create(first, { kind: 'image' });
    await first.shell(MACHINE, 'head -c 48M /dev/urandom >/dev/shm/pattern; setsid sleep 98765 >/dev/null 2>&1 & echo');
    await first.shell(MACHINE, 'mkdir -p /var/tree; for i in $(seq 200); do head -c 9000 /dev/urandom >/var/tree/$i; done; sync');
    const before = await proof(first);
    const bootId = machine.bootId;

    await arrive(second, await leave(first));
    expect(machine.bootId).toBe(bootId);
    expect(await proof(second)).toBe(before);

    await second.shell(MACHINE, 'head -c 4M /dev/urandom >/dev/shm/pattern; rm /var/tree/7; echo new >/var/tree/new; sync');
    const changed = await proof(second);
    expect(changed).not.toBe(before);
    const moved = await leave(second);
    // What was changed since it came, not the machine: its memory alone is 768 MiB.
    expect(moved.replica!.storedBytes).toBeLessThan(128 * 1024 * 1024);
    await arrive(first, moved);
    expect(machine.bootId).toBe(bootId);
    expect(await proof(first)).toBe(changed);
  });
});
