import { describe, expect, it } from 'vitest';
import type { Session } from '../../prisma/generated/client.ts';
import { suspendSession } from '../../server/sessions/control-session.ts';
import { transition } from '../../server/sessions/transition.ts';
import { openTestDatabase } from '../../server/testing/database.ts';
import { workerRig } from '../testing/rig.ts';

/*
 * A suspend of which the control plane hears late, or not at all: what the machine was must be what the session goes on from.
 */
const { rig, aRunningSession, aWorker, drive, say, read, messages, events, inOrg, setPolicy } = workerRig(openTestDatabase());

const refOf = (session: Session) => ({ orgId: rig.org.orgId, sessionId: session.id });

async function giveUp(session: Session): Promise<void> {
  await inOrg(async (tx) => {
    const expected = await tx.session.findUniqueOrThrow({ where: { id: session.id } });
    const input = { expected, to: 'failed' as const, reason: 'took too long', actor: { kind: 'worker' as const }, drive: true };
    expect(await transition(tx, refOf(session), input)).toMatchObject({ ok: true });
  });
}

/** Runs this once, between the decision to suspend and the suspend. */
function beforeSuspend(meanwhile: () => Promise<void>): void {
  const run = rig.fake.programs.get('warren-sight-agent')!;
  rig.fake.programs.set('warren-sight-agent', async (machine, call) => {
    rig.fake.programs.set('warren-sight-agent', run);
    await meanwhile();
    return run(machine, call);
  });
}

/** What its machines were made from. */
const sources = async (session: Session) =>
  (await inOrg((tx) => tx.machine.findMany({ where: { sessionId: session.id } }))).map((row) => row.sourceSnapshotId);

/** A session in `suspending` without a driver, and its machine. */
async function aSuspendingSession() {
  const { worker, session } = await aRunningSession();
  await worker.kill();
  await inOrg((tx) => suspendSession(tx, refOf(session), rig.org.ownerId));
  const { machineId, lease } = await read(session);
  return { session, machineId: machineId!, lease, snapshotId: machineId!.replace('mch_', 'snp_') };
}

async function expectSameAgent(session: Session): Promise<void> {
  await setPolicy({ idleSuspendMs: 1000 });
  await say(session, 'Go on');
  await drive(aWorker(), session);
  expect((await messages(session)).at(-1)?.state).toBe('done');
  const wakes = await inOrg((tx) => tx.wake.findMany({ where: { sessionId: session.id } }));
  expect(wakes.at(-1)).toMatchObject({ outcome: 'delivered', sameBootId: true, sameAgentProcess: true });
}

describe('a machine that falls asleep', () => {
  it('after its session was given up is what a retry goes on from', async () => {
    const { session, snapshotId } = await aSuspendingSession();
    beforeSuspend(() => giveUp(session));
    await drive(aWorker(), session);
    expect(await read(session)).toMatchObject({ state: 'failed', machineId: null, snapshotId });
    expect((await events(session)).at(-1)).toMatchObject({ label: 'Machine put away' });
    await expectSameAgent(session);
  });

  it('whose worker died before it was noted is noted when it is asked again, agent process and all', async () => {
    const { session, machineId, lease, snapshotId } = await aSuspendingSession();
    rig.fake.suspend(machineId, { lease, snapshotId });
    await drive(aWorker(), session);
    expect(await read(session)).toMatchObject({ state: 'suspended', machineId: null, snapshotId });
    await expectSameAgent(session);
  });

  it('is not turned around once it sleeps', async () => {
    const { session, machineId, lease, snapshotId } = await aSuspendingSession();
    rig.fake.suspend(machineId, { lease, snapshotId });
    await expectSameAgent(session);
    expect((await events(session)).filter(({ kind }) => kind === 'error')).toEqual([]);
  });
});

describe('a retry before anybody heard of the snapshot', () => {
  it('goes on from it, also where the session had never slept', async () => {
    const { session, machineId, lease, snapshotId } = await aSuspendingSession();
    await giveUp(session);
    rig.fake.suspend(machineId, { lease, snapshotId });
    await setPolicy({ idleSuspendMs: 1000 });
    await say(session, 'Retry');
    expect((await read(session)).state).toBe('provisioning');
    await drive(aWorker(), session);
    expect(await sources(session)).toContain(snapshotId);
    await expectSameAgent(session);
  });

  it('goes on from it when the machine is still about to fall asleep', async () => {
    const { session, snapshotId } = await aSuspendingSession();
    await setPolicy({ idleSuspendMs: 1000 });
    beforeSuspend(async () => {
      await giveUp(session);
      await say(session, 'Retry');
      expect((await read(session)).state).toBe('provisioning');
    });
    await drive(aWorker(), session);
    expect((await messages(session)).at(-1)?.state).toBe('done');
    expect(await sources(session)).toContain(snapshotId);
    await expectSameAgent(session);
  });

  it('goes on from it and not from the sleep before', async () => {
    await setPolicy({ idleSuspendMs: 1000 });
    const { worker, session, driving } = await aRunningSession();
    await driving;
    const slept = (await read(session)).snapshotId;
    await setPolicy({ idleSuspendMs: 3_600_000 });
    await say(session, 'More');
    void drive(worker, session);
    await expect.poll(async () => (await messages(session)).at(-1)?.state, { timeout: 20_000 }).toBe('done');
    await worker.kill();
    await giveUp(session);
    const { machineId, lease } = await read(session);
    const snapshotId = machineId!.replace('mch_', 'snp_');
    rig.fake.suspend(machineId!, { lease, snapshotId });
    expect(snapshotId).not.toBe(slept);
    await expectSameAgent(session);
    expect(await sources(session)).toContain(snapshotId);
  });
});
