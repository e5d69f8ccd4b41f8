import { beforeEach, describe, expect, it } from 'vitest';
import type { EgressFeedEntry, EgressLogEntry } from '../../hostd/contract/egress.ts';
import { egressPolicySchema } from '../../hostd/contract/egress.ts';
import type { Machine, Session } from '../../prisma/generated/client.ts';
import { newId } from '../../server/ids.ts';
import { callerFor } from '../../server/testing/caller.ts';
import { openTestDatabase } from '../../server/testing/database.ts';
import { anOrg, aSession } from '../../server/testing/fixtures.ts';
import { testServices } from '../../server/testing/services.ts';
import { applyEgress } from '../machines/apply-egress.ts';
import { insertMachine } from '../machines/open-machine.ts';
import { pruneEgress } from '../reap/prune-egress.ts';
import { type TestWorker, workerRig } from '../testing/rig.ts';
import { followEgress, serveFeed } from './follow-egress.ts';

const test = openTestDatabase();
const services = testServices(test);
const { rig, aWorker, inOrg, setPolicy, until } = workerRig(test);
const CREATED = { lease: 1, source: { kind: 'image' as const }, memoryMiB: 512, vcpus: 1, diskGiB: 4, hostname: 'warren' };

const anEntry = (seq: number, set: Partial<EgressLogEntry> = {}): EgressLogEntry => ({
  seq,
  at: new Date().toISOString(),
  decision: 'deny',
  reason: 'not_listed',
  method: 'CONNECT',
  host: 'evil.example.com',
  port: 443,
  path: null,
  status: 403,
  bytesUp: 1,
  bytesDown: 5_000_000_000,
  rule: null,
  secrets: [],
  ...set,
});

describe('what machines tried to reach', () => {
  let worker: TestWorker;
  let session: Session;
  let machine: Machine;
  const serve = async (feed: { waiting?: string[]; entries?: EgressFeedEntry[] }) =>
    serveFeed(worker.deps, await worker.deps.hosts.client(machine.hostId), { waiting: [], entries: [], ...feed });
  const of = (machineId: string, ...entries: EgressLogEntry[]) => entries.map((entry) => ({ machineId, entry }));
  const log = (filter = {}) => callerFor(services, rig.org.ownerId).egress.log({ org: rig.org.slug, ...filter });
  /** Without credentials, which differ each time. */
  const policyOf = (id: string) => rig.fake.machine(id).created.egress;

  beforeEach(async () => {
    worker = aWorker();
    await worker.deps.hosts.heartbeat(new Date());
    session = await aSession(test.db, rig.org, { repositoryId: rig.repository.id });
    const owner = { sessionId: session.id, branch: session.branch };
    machine = await inOrg((tx) =>
      insertMachine(tx, { orgId: rig.org.orgId, hostId: 'hst_fakefakefake', lease: 1, purpose: 'session', owner }),
    );
    await inOrg((tx) => tx.machine.update({ where: { id: machine.id }, data: { bootId: 'b' } }));
    rig.fake.create(machine.id, { ...CREATED, egress: egressPolicySchema.parse({ services: [], allow: [] }) });
  });

  it('is stored once however often it comes, with its organization and session, and acknowledged', async () => {
    const entries = of(
      machine.id,
      anEntry(1),
      anEntry(2, { decision: 'allow', reason: 'rule', host: 'a.example', rule: 'rul_1', secrets: ['sec_1'] }),
    );
    await Promise.all([serve({ entries }), serve({ entries }), serve({ entries: entries.slice(1) })]);
    const { rows } = await log();
    expect(
      rows.map(({ host, ruleId, secretIds, bytesDown, sessionId }) => [host, ruleId, secretIds, bytesDown, sessionId]),
    ).toEqual([
      ['a.example', 'rul_1', ['sec_1'], 5_000_000_000, session.id],
      ['evil.example.com', null, [], 5_000_000_000, session.id],
    ]);
    expect(rig.fake.collected).toEqual([{ [machine.id]: 2 }, { [machine.id]: 2 }, { [machine.id]: 2 }]);
  });

  it('is filtered by decision, host and session, and seen by its organization only', async () => {
    const other = await aSession(test.db, rig.org, { repositoryId: rig.repository.id });
    await serve({ entries: of(machine.id, anEntry(1), anEntry(2, { decision: 'allow', host: 'api.github.com' })) });
    const hosts = async (filter: object) => (await log(filter)).rows.map(({ host }) => host);
    expect(await hosts({ decision: 'deny' })).toEqual(['evil.example.com']);
    expect(await hosts({ host: 'GitHub' })).toEqual(['api.github.com']);
    expect(await hosts({ sessionId: session.id })).toHaveLength(2);
    expect(await hosts({ sessionId: other.id })).toEqual([]);
    const stranger = await anOrg(test.db, { name: 'Stranger' });
    const theirs = callerFor(services, stranger.ownerId).egress;
    expect((await theirs.log({ org: stranger.slug })).rows).toEqual([]);
    await expect(theirs.log({ org: stranger.slug, sessionId: session.id })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('of a machine nobody knows is dropped, so that the host can forget it', async () => {
    const strange = newId('machine');
    await serve({ entries: of(strange, anEntry(7)) });
    expect(rig.fake.collected).toEqual([{ [strange]: 7 }]);
    expect((await log()).rows).toEqual([]);
  });

  it('comes a page at a time', async () => {
    await serve({ entries: of(machine.id, ...Array.from({ length: 130 }, (_, n) => anEntry(n + 1))) });
    const first = await log();
    const second = await log({ before: first.next });
    expect([first.rows.length, second.rows.length, second.next]).toEqual([100, 30, null]);
  });

  it('is kept for a month and up to a number of rows', async () => {
    const old = new Date(Date.now() - 40 * 86_400_000).toISOString();
    await serve({ entries: of(machine.id, anEntry(1, { at: old }), anEntry(2), anEntry(3), anEntry(4)) });
    await pruneEgress(worker.deps);
    expect((await log()).rows).toHaveLength(3);
    await pruneEgress(worker.deps, 2);
    expect((await log()).rows).toHaveLength(2);
  });

  it('a machine whose hostd was started anew gets its rules, grant and secrets again', async () => {
    await setPolicy({ egress: [{ id: 'rul_1', host: 'a.example', ports: [443] }] });
    const caller = callerFor(services, rig.org.ownerId);
    const secret = {
      name: 'S',
      host: 'a.example',
      header: 'authorization',
      scheme: 'bearer' as const,
      value: 'v',
      plainHttp: false,
    };
    await caller.secrets.create({ org: rig.org.slug, secret: { ...secret, purposes: ['session'] } });
    expect(await serve({ waiting: [machine.id] })).toBe(true);
    expect(policyOf(machine.id)).toMatchObject({
      services: [{ host: 'git.warren.internal' }, { host: 'models.warren.internal' }],
      allow: [{ id: 'rul_1' }],
      secrets: [{ host: 'a.example', header: 'authorization', value: 'Bearer v' }],
    });
    expect(await serve({ waiting: [newId('machine')] })).toBe(false);
  });

  it('a change of the rules reaches the machines that run', async () => {
    await setPolicy({ egress: [] });
    await applyEgress(worker.deps, rig.org.orgId);
    expect(policyOf(machine.id).allow).toEqual([]);
    rig.fake.endMachine(machine.id);
    // It ended meanwhile: there is nothing to do for it.
    await applyEgress(worker.deps, rig.org.orgId);
  });

  it('is followed until the worker ends', async () => {
    rig.fake.feed = { waiting: [], entries: of(machine.id, anEntry(1)) };
    const following = followEgress(worker.deps);
    await until(async () => expect((await log()).rows).toHaveLength(1));
    await worker.kill();
    await following;
  });
});
