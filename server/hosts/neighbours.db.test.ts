import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { withOrg } from '../db.ts';
import { newId } from '../ids.ts';
import { listInstallationWeaknesses } from '../orgs/list-hosts.ts';
import { openTestDatabase } from '../testing/database.ts';
import { anOrg, type TestOrg } from '../testing/fixtures.ts';
import { FakeHost } from './fake/fake-host.ts';
import { FAKE_TOKEN, serveFakeHost } from './fake/serve-fake-host.ts';
import { createHostDirectory, type HostDirectory } from './host-directory.ts';

/* Two organizations on one host, with the real tables and policies. */
const test = openTestDatabase();
let fake: FakeHost;
let served: Awaited<ReturnType<typeof serveFakeHost>>;
let acme: TestOrg;
let rival: TestOrg;

beforeEach(async () => {
  fake = new FakeHost();
  served = await serveFakeHost(fake);
  await test.systemDb.host.deleteMany();
  acme = await anOrg(test.db, { name: 'Acme' });
  rival = await anOrg(test.db, { name: 'Rival' });
});
afterEach(async () => {
  for (const { orgId } of [acme, rival]) {
    await withOrg(test.db, orgId, (tx) => tx.machine.updateMany({ data: { endedAt: new Date() } }));
    await withOrg(test.db, orgId, (tx) => tx.snapshot.updateMany({ data: { deletedAt: new Date() } }));
  }
  await served.close();
});

const directory = (weakIsolationAllowed = false): HostDirectory =>
  createHostDirectory({ systemDb: test.systemDb, urls: [served.url], token: FAKE_TOKEN, weakIsolationAllowed });

/** What a worker does before it asks the host: place, write the row, look at the neighbours. */
async function placeMachine({ orgId }: TestOrg, hosts = directory()) {
  const { hostId } = await hosts.place({ memoryMiB: 256 });
  const id = newId('machine');
  await withOrg(test.db, orgId, (tx) => tx.machine.create({ data: { id, orgId, hostId, lease: 1, purpose: 'check' } }));
  await hosts.requireNeighbourly(hostId, orgId);
  return { id, hostId };
}
const end = (org: TestOrg, id: string) =>
  withOrg(test.db, org.orgId, (tx) => tx.machine.update({ where: { id }, data: { endedAt: new Date() } }));

describe('a host that does not keep machines apart', () => {
  it('takes one organization, and refuses the second with the reason', async () => {
    await placeMachine(acme);
    await placeMachine(acme);
    await expect(placeMachine(rival)).rejects.toMatchObject({
      code: 'weak_isolation',
      retryable: false,
      message: expect.stringContaining('machines are emulated (TCG), which is no security boundary'),
    });
  });

  it('is still that organization’s while a snapshot of it is there, and free afterwards', async () => {
    const { id, hostId } = await placeMachine(acme);
    const snapshot = {
      id: newId('snapshot'),
      orgId: acme.orgId,
      hostId,
      machineId: id,
      manifest: {},
      storedBytes: 1,
      releasedMs: 1,
    };
    await withOrg(test.db, acme.orgId, (tx) => tx.snapshot.create({ data: snapshot }));
    await end(acme, id);
    await expect(placeMachine(rival)).rejects.toMatchObject({ code: 'weak_isolation' });

    await withOrg(test.db, rival.orgId, (tx) => tx.machine.updateMany({ data: { endedAt: new Date() } }));
    await withOrg(test.db, acme.orgId, (tx) =>
      tx.snapshot.update({ where: { id: snapshot.id }, data: { deletedAt: new Date() } }),
    );
    await placeMachine(rival);
  });

  it('takes exactly one of two organizations that come at once, and stays with it', async () => {
    const race = () => Promise.allSettled([placeMachine(acme), placeMachine(rival)]);
    const [first, second] = [await race(), await race()];
    expect(first.filter(({ status }) => status === 'rejected')).toHaveLength(1);
    expect(second.map(({ status }) => status)).toEqual(first.map(({ status }) => status));
  });

  it('takes all when the operator says that they trust each other', async () => {
    await placeMachine(acme);
    await placeMachine(rival, directory(true));
  });
});

describe('a host that keeps machines apart', () => {
  it('takes any number of organizations', async () => {
    fake.accelerator = 'kvm';
    await placeMachine(acme);
    await placeMachine(rival);
    expect(await withOrg(test.db, acme.orgId, listInstallationWeaknesses)).toEqual([]);
  });

  it('no longer does once it reports otherwise', async () => {
    fake.accelerator = 'kvm';
    await placeMachine(acme);
    fake.accelerator = 'tcg';
    await directory().heartbeat(new Date());
    await expect(placeMachine(rival)).rejects.toMatchObject({ code: 'weak_isolation' });
    expect(await withOrg(test.db, acme.orgId, listInstallationWeaknesses)).toEqual([expect.stringContaining('TCG')]);
  });
});
