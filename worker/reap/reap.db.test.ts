import { describe, expect, it } from 'vitest';
import { egressPolicySchema } from '../../hostd/contract/egress.ts';
import { FakeRefusal } from '../../server/hosts/fake/fake-host.ts';
import { newId } from '../../server/ids.ts';
import { openTestDatabase } from '../../server/testing/database.ts';
import { aSession, jobsOf } from '../../server/testing/fixtures.ts';
import { insertMachine } from '../machines/open-machine.ts';
import { workerRig } from '../testing/rig.ts';
import { reap } from './reap.ts';
import { reapCopies } from './reap-copies.ts';

const test = openTestDatabase();
const { rig, aWorker, inOrg, read, events } = workerRig(test);
const LATER = { now: () => new Date(Date.now() + 5 * 60_000) };
const NO_EGRESS = egressPolicySchema.parse({ services: [], allow: [] });
const SIZE = { memoryMiB: 512, vcpus: 1, diskGiB: 4, hostname: 'warren' };

const hostId = 'hst_fakefakefake';
const boot = (machineId: string) =>
  rig.fake.create(machineId, { lease: 1, source: { kind: 'image' }, egress: NO_EGRESS, ...SIZE });

/** A sweep as it would be in five minutes, when nothing is young any more. */
const sweepLater = () => reap({ ...aWorker().deps, clock: LATER });

describe('the sweep', () => {
  it('settles a session that is stuck, says so, and has it driven', async () => {
    const session = await aSession(test.db, rig.org, {
      state: 'resuming',
      deadlineAt: new Date(Date.now() - 1000),
      snapshotId: newId('snapshot'),
    });
    await sweepLater();
    expect((await read(session)).state).toBe('suspended');
    expect(await events(session)).toContainEqual(expect.objectContaining({ kind: 'error', title: 'The session got stuck' }));
  });

  it('leaves it to the worker that has just started', async () => {
    const session = await aSession(test.db, rig.org, { state: 'suspending', deadlineAt: new Date(Date.now() - 3_600_000) });
    await reap({ ...aWorker().deps, startedAt: new Date() });
    expect((await read(session)).state).toBe('suspending');
    await test.systemDb
      .$executeRaw`update pgboss.job set state = 'active', started_on = now() where singleton_key = ${session.id}`;
    await reap({ ...aWorker().deps, clock: LATER, startedAt: new Date() });
    expect((await read(session)).state).toBe('failed');
  });

  it('names a host that does not answer, and says what to do for the state it was stuck in', async () => {
    const host = { url: 'http://127.0.0.1:1', accelerator: 'tcg', info: {}, lastSeenAt: new Date() };
    const silent = await test.systemDb.host.create({ data: { id: newId('host'), ...host } });
    const stuck = { deadlineAt: new Date(Date.now() - 1000), hostId: silent.id };
    const stopping = await aSession(test.db, rig.org, { ...stuck, state: 'stopping' });
    const suspending = await aSession(test.db, rig.org, { ...stuck, state: 'suspending' });
    await sweepLater();
    for (const [session, nextStep] of [
      [stopping, 'End the session again.'],
      [suspending, 'Retry: it goes on in its machine'],
    ] as const) {
      expect((await read(session)).state).toBe('failed');
      expect(await events(session)).toContainEqual(
        expect.objectContaining({
          title: 'The session got stuck',
          detail: expect.stringContaining('Its host has not answered for 5 min.'),
          nextStep: expect.stringContaining(nextStep),
        }),
      );
    }
  });

  it('leaves a session alone that is within its time', async () => {
    const session = await aSession(test.db, rig.org, { state: 'resuming', deadlineAt: new Date(Date.now() + 3_600_000) });
    await sweepLater();
    expect((await read(session)).state).toBe('resuming');
  });

  it('gives a running session without a driver one, once', async () => {
    const session = await aSession(test.db, rig.org, { state: 'running' });
    await sweepLater();
    await sweepLater();
    expect(await jobsOf(test.systemDb, session.id)).toMatchObject([{ name: 'drive-session', state: 'created' }]);
  });

  it('removes a machine that no row speaks of, and one whose session has another', async () => {
    const session = await aSession(test.db, rig.org, { state: 'suspended' });
    const owner = { sessionId: session.id, branch: session.branch };
    const old = await inOrg((tx) => insertMachine(tx, { orgId: rig.org.orgId, hostId, lease: 1, purpose: 'session', owner }));
    boot(old.id);
    boot(newId('machine'));
    await sweepLater();
    expect(rig.fake.machines.size).toBe(0);
    expect(await inOrg((tx) => tx.machine.findUnique({ where: { id: old.id } }))).toMatchObject({ endedHow: 'deleted' });
  });

  it('leaves young machines and those in use alone', async () => {
    const session = await aSession(test.db, rig.org, { state: 'running' });
    const owner = { sessionId: session.id, branch: session.branch };
    const used = await inOrg((tx) => insertMachine(tx, { orgId: rig.org.orgId, hostId, lease: 1, purpose: 'session', owner }));
    await inOrg((tx) => tx.session.update({ where: { id: session.id }, data: { machineId: used.id } }));
    boot(used.id);
    await sweepLater();
    boot(newId('machine'));
    await reap(aWorker().deps);
    expect(rig.fake.machines.size).toBe(2);
  });

  it('does not hold the machines of a host set up anew against the old one', async () => {
    const session = await aSession(test.db, rig.org, { state: 'running' });
    const owner = { sessionId: session.id, branch: session.branch };
    const used = await inOrg((tx) => insertMachine(tx, { orgId: rig.org.orgId, hostId, lease: 1, purpose: 'session', owner }));
    await inOrg((tx) => tx.session.update({ where: { id: session.id }, data: { machineId: used.id } }));
    boot(used.id);
    const before = { url: rig.hostUrl, accelerator: 'tcg', info: {}, lastSeenAt: new Date() };
    await test.systemDb.host.create({ data: { id: newId('host'), ...before } });
    await sweepLater();
    expect(rig.fake.machines.size).toBe(1);
  });

  it('removes snapshots nobody needs and keeps the one to wake from', async () => {
    const kept = newId('snapshot');
    const session = await aSession(test.db, rig.org, { state: 'suspended', snapshotId: kept });
    for (const snapshotId of [kept, newId('snapshot'), newId('snapshot')]) {
      const machineId = newId('machine');
      boot(machineId);
      const { snapshot } = rig.fake.suspend(machineId, { lease: 1, snapshotId });
      // The last one has no row at all.
      if (rig.fake.snapshots.size === 3) continue;
      await inOrg((tx) =>
        tx.snapshot.create({
          data: {
            id: snapshotId,
            orgId: rig.org.orgId,
            hostId,
            machineId,
            sessionId: session.id,
            manifest: snapshot.manifest,
            storedBytes: 1n,
            releasedMs: 1,
          },
        }),
      );
    }
    await sweepLater();
    expect([...rig.fake.snapshots.keys()]).toEqual([kept]);
  });

  it('sees to the other machines and snapshots when one cannot be removed', async () => {
    const strangers = [newId('machine'), newId('machine')];
    for (const machineId of strangers) boot(machineId);
    const session = await aSession(test.db, rig.org, { state: 'stopped' });
    const owner = { sessionId: session.id, branch: session.branch };
    const unowned = await inOrg((tx) => insertMachine(tx, { orgId: rig.org.orgId, hostId, lease: 1, purpose: 'session', owner }));
    boot(unowned.id);
    const slept = newId('machine');
    boot(slept);
    const snapshots = [newId('snapshot'), newId('snapshot')];
    for (const snapshotId of snapshots) {
      const { snapshot } = rig.fake.suspend(slept, { lease: 1, snapshotId });
      boot(slept);
      const row = { orgId: rig.org.orgId, hostId, machineId: slept, sessionId: session.id, manifest: snapshot.manifest };
      await inOrg((tx) => tx.snapshot.create({ data: { id: snapshotId, ...row, storedBytes: 1n, releasedMs: 1 } }));
    }
    rig.fake.faults.set('remove', new FakeRefusal('internal', 'stuck'));
    rig.fake.faults.set('removeSnapshot', new FakeRefusal('internal', 'stuck'));
    await sweepLater();
    expect(rig.fake.machines.size).toBe(1);
    expect(rig.fake.snapshots.size).toBe(1);
    await sweepLater();
    expect(rig.fake.machines.size).toBe(0);
    expect(rig.fake.snapshots.size).toBe(0);
  });

  it('ends a check whose job is gone', async () => {
    const id = newId('check');
    await inOrg((tx) =>
      tx.check.create({
        data: {
          id,
          orgId: rig.org.orgId,
          repositoryId: rig.repository.id,
          commitSha: 'a'.repeat(40),
          name: 'test',
          command: 'npm test',
          state: 'running',
        },
      }),
    );
    await sweepLater();
    expect((await inOrg((tx) => tx.check.findUniqueOrThrow({ where: { id } }))).state).toBe('errored');
  });

  it('asks again for copies that were not made, of snapshots that have a row, and has what nobody needs collected', async () => {
    const session = await aSession(test.db, rig.org, { state: 'suspended' });
    const machineId = newId('machine');
    boot(machineId);
    const [known, stranger] = [machineId.replace('mch_', 'snp_'), newId('snapshot')];
    const { snapshot } = rig.fake.suspend(machineId, { lease: 1, snapshotId: known });
    const row = { orgId: rig.org.orgId, hostId, machineId, sessionId: session.id, manifest: snapshot.manifest, releasedMs: 1 };
    await inOrg((tx) => tx.snapshot.create({ data: { id: known, ...row, storedBytes: 1n, agentOffset: 0n } }));
    const { guest } = rig.fake.snapshots.get(known)!;
    rig.fake.snapshots.set(stranger, { view: { ...snapshot, snapshotId: stranger }, guest });
    const { deps } = aWorker();
    await deps.hosts.heartbeat(new Date());
    await reapCopies(deps);
    expect(rig.fake.calls).not.toContain(`replicate ${known}`);
    rig.fake.objectStore = 'a store for tests';
    await reapCopies(deps);
    const asked = [...rig.fake.calls];
    expect(asked).toContain(`replicate ${known}`);
    expect(asked).not.toContain(`replicate ${stranger}`);
    expect(asked.filter((call) => call === 'collect')).toHaveLength(await test.systemDb.organization.count());
    await reapCopies(deps);
    const again = rig.fake.calls.slice(asked.length);
    expect(again.filter((call) => call === 'collect' || call.startsWith('replicate'))).toEqual([]);
  });
});
