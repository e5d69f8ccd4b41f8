import { beforeEach, describe, expect, it } from 'vitest';
import { repositoryDir } from '../../server/forge/layout.ts';
import { FakeRefusal } from '../../server/hosts/fake/fake-host.ts';
import { newId } from '../../server/ids.ts';
import { findCommit } from '../../server/repositories/bare-repository.ts';
import { requestTemplate } from '../../server/templates/request-template.ts';
import { openTestDatabase } from '../../server/testing/database.ts';
import { buildTemplate } from '../templates/build-template.ts';
import { type TestWorker, workerRig } from '../testing/rig.ts';
import { runCheck } from './run-check.ts';

const { rig, aWorker, inOrg } = workerRig(openTestDatabase());
let worker: TestWorker;

beforeEach(async () => {
  worker = aWorker();
  const asked = await requestTemplate(worker.deps, { orgId: rig.org.orgId, repositoryId: rig.repository.id });
  if (asked.ok) await buildTemplate(worker.deps, { orgId: rig.org.orgId, templateId: asked.template.id });
});

async function aCheck(command: string) {
  const id = newId('check');
  const { orgId } = rig.org;
  const commitSha = (await findCommit(repositoryDir(worker.deps.forgeDir, orgId, rig.repository.id), 'main'))!;
  await inOrg((tx) =>
    tx.check.create({ data: { id, orgId, repositoryId: rig.repository.id, commitSha, name: 'test', command } }),
  );
  return {
    run: () => runCheck(worker.deps, { orgId, checkId: id }),
    read: () => inOrg((tx) => tx.check.findUniqueOrThrow({ where: { id } })),
  };
}

describe('running a check', () => {
  it.each([
    ['npm test', 'passed', 0],
    ['fail 3', 'failed', 3],
  ])('%s has %s, with its log, in a machine that is gone afterwards', async (command, state, exitCode) => {
    const { run, read } = await aCheck(command);
    await run();
    expect(await read()).toMatchObject({ state, exitCode, log: `ran ${command}\n` });
    expect(rig.fake.machines.size).toBe(0);
  });

  it('gives its machine git and no models', async () => {
    const { run } = await aCheck('npm test');
    const create = rig.fake.create.bind(rig.fake);
    const hosts: string[] = [];
    rig.fake.create = (id, input) => {
      hosts.push(...input.egress.services.map(({ host }) => host));
      return create(id, input);
    };
    await run();
    expect(hosts).toEqual(['git.warren.internal']);
  });

  it('is errored, not failed, when there is no machine for it', async () => {
    const { run, read } = await aCheck('npm test');
    rig.fake.faults.set('create', new FakeRefusal('disk_full', 'no space left in the data directory'));
    await run();
    const check = await read();
    expect(check.state).toBe('errored');
    expect(check.log).toContain('no space left');
  });

  it('is left for another try when the host may only be busy, and its machine does not stay', async () => {
    const { run, read } = await aCheck('npm test');
    rig.fake.faults.set('exec', new FakeRefusal('guest_unreachable', 'no answer'));
    await expect(run()).rejects.toMatchObject({ code: 'guest_unreachable' });
    expect((await read()).state).toBe('running');
    expect(rig.fake.machines.size).toBe(0);
    await run();
    expect((await read()).state).toBe('passed');
  });

  it('is not run once it is superseded', async () => {
    const { run, read } = await aCheck('npm test');
    await inOrg(async (tx) => tx.check.updateMany({ data: { state: 'superseded' } }));
    await run();
    expect((await read()).state).toBe('superseded');
  });

  it('is taken over by another run: the first loses its machine and has nothing to say', async () => {
    const { run, read } = await aCheck('npm test');
    const checkout = rig.fake.programs.get('warren-checkout-commit')!;
    let second = Promise.resolve();
    rig.fake.programs.set('warren-checkout-commit', async (guest, call) => {
      rig.fake.programs.set('warren-checkout-commit', checkout);
      const { promise, resolve } = Promise.withResolvers<void>();
      // The second run stands in its machine while the first finds its own gone.
      rig.fake.programs.set('warren-checkout-commit', async (other, again) => {
        resolve();
        await firstDone.promise;
        return checkout(other, again);
      });
      second = run();
      await promise;
      return checkout(guest, call);
    });
    const firstDone = Promise.withResolvers<void>();
    await run();
    expect((await read()).state).toBe('running');
    expect(rig.fake.machines.size).toBe(1);
    firstDone.resolve();
    await second;
    expect((await read()).state).toBe('passed');
    expect(rig.fake.machines.size).toBe(0);
  });
});
