import { beforeEach, describe, expect, it } from 'vitest';
import type { Machine } from '../../prisma/generated/client.ts';
import type { HostClient } from '../../server/hosts/host-client.ts';
import { openTestDatabase } from '../../server/testing/database.ts';
import { aSession } from '../../server/testing/fixtures.ts';
import type { WorkerDeps } from '../deps.ts';
import { workerRig } from '../testing/rig.ts';
import { applyEgress, handOverEgress } from './apply-egress.ts';
import { insertMachine, startMachine } from './open-machine.ts';

const test = openTestDatabase();
const { rig, aWorker, inOrg, setPolicy } = workerRig(test);
const SOURCE = { kind: 'image', variant: 'base' } as const;

let deps: WorkerDeps;
let machine: Machine;
const ruleFor = (host: string) => setPolicy({ egress: [{ id: 'rul_1', host, ports: [443] }] });
const hostsAllowed = ({ id } = machine) => rig.fake.machine(id).created.egress.allow.map(({ host }) => host);

async function aMachine(): Promise<Machine> {
  const session = await aSession(test.db, rig.org, { repositoryId: rig.repository.id });
  const owner = { sessionId: session.id, branch: session.branch };
  return inOrg((tx) =>
    insertMachine(tx, { orgId: rig.org.orgId, hostId: 'hst_fakefakefake', lease: 1, purpose: 'session', owner }),
  );
}

beforeEach(async () => {
  ({ deps } = aWorker());
  await deps.hosts.heartbeat(new Date());
  machine = await aMachine();
  await ruleFor('old.example');
});

/** The worker's dependencies, with a host on whose way something happens. */
function onTheWay(change: (host: HostClient) => Partial<HostClient>): WorkerDeps {
  const client = async (hostId: string) => {
    const host = await deps.hosts.client(hostId);
    return { ...host, ...change(host) };
  };
  return { ...deps, hosts: { ...deps.hosts, client } };
}

describe('a machine that starts', () => {
  it('has the rules that came while its host made it', async () => {
    const slow = onTheWay((host) => ({
      create: async (...input) => {
        const view = await host.create(...input);
        await ruleFor('new.example');
        await applyEgress(deps, rig.org.orgId);
        return view;
      },
    }));
    await startMachine(slow, { machine, source: SOURCE });
    expect(hostsAllowed()).toEqual(['new.example']);
  });

  it('is not given them twice when none came', async () => {
    let given = 0;
    const counting = onTheWay((host) => ({
      setEgress: (...input) => {
        given += 1;
        return host.setEgress(...input);
      },
    }));
    await startMachine(counting, { machine, source: SOURCE });
    expect([hostsAllowed(), given]).toEqual([['old.example'], 0]);
  });

  it('and was made by a worker that died since, has the rules of now', async () => {
    await startMachine(deps, { machine, source: SOURCE });
    await ruleFor('new.example');
    const found = await inOrg((tx) => tx.machine.findUniqueOrThrow({ where: { id: machine.id } }));
    await startMachine(deps, { machine: found, source: SOURCE });
    expect(hostsAllowed()).toEqual(['new.example']);
  });
});

describe('rules that change', () => {
  it('while others are handed over, are the ones that stay', async () => {
    await startMachine(deps, { machine, source: SOURCE });
    let overtaken = false;
    const late = onTheWay((host) => ({
      setEgress: async (...input) => {
        if (!overtaken) {
          overtaken = true;
          await ruleFor('new.example');
          await handOverEgress(deps, machine);
        }
        await host.setEgress(...input);
      },
    }));
    await ruleFor('between.example');
    await handOverEgress(late, machine);
    expect(hostsAllowed()).toEqual(['new.example']);
  });

  it('reach a machine though that of another does not answer, which fails the job', async () => {
    const machines = [machine, await aMachine()];
    for (const each of machines) await startMachine(deps, { machine: each, source: SOURCE });
    const [silent, reached] = [Promise.withResolvers<never>(), Promise.withResolvers<void>()];
    let isFirst = true;
    const partly = onTheWay((host) => ({
      setEgress: async (...input) => {
        if (isFirst) {
          isFirst = false;
          return silent.promise;
        }
        await host.setEgress(...input);
        reached.resolve();
      },
    }));
    await ruleFor('new.example');
    const applied = applyEgress(partly, rig.org.orgId);
    await reached.promise;
    expect(machines.flatMap(hostsAllowed).toSorted()).toEqual(['new.example', 'old.example']);
    silent.reject(new Error('no answer'));
    await expect(applied).rejects.toThrow('no answer');
  });
});
