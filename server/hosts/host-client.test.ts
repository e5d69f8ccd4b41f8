import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeHost, FakeRefusal } from './fake/fake-host.ts';
import { FAKE_TOKEN, serveFakeHost } from './fake/serve-fake-host.ts';
import { createHostClient, type HostCallReport, type HostClient } from './host-client.ts';

const MACHINE = 'mch_00000000000000000001';
const SNAPSHOT = 'snp_00000000000000000001';
const NO_EGRESS = { services: [], allow: [] };

describe('host client', () => {
  let fake: FakeHost;
  let served: Awaited<ReturnType<typeof serveFakeHost>>;
  let client: HostClient;
  let reports: HostCallReport[];

  beforeEach(async () => {
    fake = new FakeHost();
    served = await serveFakeHost(fake);
    reports = [];
    client = createHostClient({ url: served.url, token: FAKE_TOKEN, onCall: (report) => reports.push(report) });
  });
  afterEach(() => served.close());

  const boot = () => client.create(MACHINE, { lease: 1, source: { kind: 'image' }, egress: NO_EGRESS });

  it('takes a machine through its life', async () => {
    expect(await boot()).toMatchObject({ machineId: MACHINE, state: 'running', memoryMiB: 1024 });
    expect(await client.machines()).toHaveLength(1);
    const { snapshot, processGone } = await client.suspend(MACHINE, { lease: 1, snapshotId: SNAPSHOT });
    expect(processGone).toBe(true);
    expect(await client.snapshots()).toEqual([snapshot]);
    const again = 'mch_00000000000000000002';
    const resumed = await client.create(again, { lease: 2, source: { kind: 'resume', snapshotId: SNAPSHOT }, egress: NO_EGRESS });
    expect(resumed.bootId).toBe(snapshot.manifest.bootId);
    await client.remove(again, 2);
    await client.removeSnapshot(SNAPSHOT);
    expect(await client.machines()).toEqual([]);
  });

  it('takes a machine back to a checkpoint', async () => {
    await boot();
    const { guest } = fake.machine(MACHINE);
    guest.append('/notes', 'before');
    const { snapshot, stoppedMs } = await client.checkpoint(MACHINE, { lease: 1, snapshotId: SNAPSHOT });
    expect(stoppedMs).toBeGreaterThan(0);
    expect((await client.checkpoint(MACHINE, { lease: 1, snapshotId: SNAPSHOT })).snapshot).toEqual(snapshot);
    guest.append('/notes', ' and after');
    expect(await client.rewind(MACHINE, { lease: 2, snapshotId: SNAPSHOT })).toMatchObject({ machineId: MACHINE, lease: 2 });
    expect(fake.machine(MACHINE).guest.files.get('/notes')?.toString()).toBe('before');
  });

  it('gives the code of a refusal', async () => {
    await expect(client.machine(MACHINE)).rejects.toMatchObject({ name: 'HostError', code: 'not_found', retryable: false });
    fake.faults.set('create', new FakeRefusal('no_capacity', 'full'));
    await expect(boot()).rejects.toMatchObject({ code: 'no_capacity', message: 'full' });
    expect(reports.map(({ outcome }) => outcome)).toEqual(['not_found', 'no_capacity']);
  });

  it('calls a wrong token unauthorized', async () => {
    await expect(createHostClient({ url: served.url, token: 'x' }).host()).rejects.toMatchObject({ code: 'unauthorized' });
  });

  it('calls a host that is down unreachable, and worth another try', async () => {
    await served.close();
    await expect(client.host()).rejects.toMatchObject({ code: 'unreachable', retryable: true });
    served = await serveFakeHost(fake);
  });

  it('refuses a reply outside the contract', async () => {
    fake.host = () => ({ hostId: 7 }) as never;
    await expect(client.host()).rejects.toMatchObject({ code: 'invalid_reply', retryable: false });
  });

  it('follows a growing file from an offset until the machine ends', async () => {
    await boot();
    const { guest } = fake.machine(MACHINE);
    guest.append('/out', 'skipped|one');
    const seen: string[] = [];
    const reader = (async () => {
      for await (const bytes of client.tail(MACHINE, '/out', 8, new AbortController().signal)) {
        seen.push(Buffer.from(bytes).toString());
        if (seen.length === 1) guest.append('/out', 'two');
        else fake.endMachine(MACHINE);
      }
    })();
    await reader;
    expect(seen.join('')).toBe('onetwo');
  });

  it('ends a follow quietly when its caller has had enough, and loudly when the connection breaks', async () => {
    await boot();
    const { guest } = fake.machine(MACHINE);
    guest.append('/out', 'x');
    const enough = new AbortController();
    for await (const _ of client.tail(MACHINE, '/out', 0, enough.signal)) enough.abort();

    const broken = async () => {
      for await (const _ of client.tail(MACHINE, '/out', 0, new AbortController().signal)) void served.close();
    };
    await expect(broken()).rejects.toMatchObject({ code: 'unreachable' });
    served = await serveFakeHost(fake);
  });

  it('names the websocket of a terminal', () => {
    const { url, headers } = client.pty(MACHINE, { name: 'main', cols: 80, rows: 24 });
    expect(url).toBe(
      `${served.url.replace('http', 'ws')}/v1/machines/${MACHINE}/pty?user=agent&cwd=%2Fworkspace&name=main&cols=80&rows=24`,
    );
    expect(headers.authorization).toBe(`Bearer ${FAKE_TOKEN}`);
  });
});
