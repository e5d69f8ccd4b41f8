import { describe, expect, it } from 'vitest';
import { anImage, FakeRefusal } from '../../server/hosts/fake/fake-host.ts';
import { FakeExit } from '../../server/hosts/fake/fake-machine.ts';
import { requestTemplate } from '../../server/templates/request-template.ts';
import { openTestDatabase } from '../../server/testing/database.ts';
import { workerRig } from '../testing/rig.ts';
import { buildTemplate } from './build-template.ts';

const { rig, aWorker, inOrg, commitFile, until } = workerRig(openTestDatabase());

async function aRequest(input: { rebuild?: boolean } = {}) {
  const worker = aWorker();
  const asked = await requestTemplate(worker.deps, { orgId: rig.org.orgId, repositoryId: rig.repository.id, ...input });
  if (!asked.ok) throw new Error(asked.problem);
  const { id } = asked.template;
  const read = () => inOrg((tx) => tx.template.findUniqueOrThrow({ where: { id } }));
  return { ...asked, worker, read, build: () => buildTemplate(worker.deps, { orgId: rig.org.orgId, templateId: id }) };
}

describe('requesting a template', () => {
  it('asks for one build, however often it is asked', async () => {
    const [one, two] = await Promise.all([aRequest(), aRequest()]);
    expect(one.template.id).toBe(two.template.id);
    expect([one.requested, two.requested].filter(Boolean)).toHaveLength(1);
    await one.build();
    expect(await aRequest()).toMatchObject({ requested: false, template: { id: one.template.id, state: 'ready' } });
    expect(await aRequest({ rebuild: true })).toMatchObject({ requested: true });
  });
});

describe('building a template', () => {
  it('is taken over by another build: the first loses its machine and has nothing to say', async () => {
    const { build, read } = await aRequest();
    const clone = rig.fake.programs.get('warren-clone-workspace')!;
    const [begun, mayGoOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let second = Promise.resolve();
    rig.fake.programs.set('warren-clone-workspace', async (guest, call) => {
      rig.fake.programs.set('warren-clone-workspace', async (other, again) => {
        begun.resolve();
        await mayGoOn.promise;
        return clone(other, again);
      });
      second = build();
      await begun.promise;
      return clone(guest, call);
    });
    await build();
    expect((await read()).state).toBe('building');
    expect(rig.fake.machines.size).toBe(1);
    mayGoOn.resolve();
    await second;
    expect((await read()).state).toBe('ready');
  });

  it('ends with a snapshot in which the agent has introduced itself', async () => {
    const { build, read } = await aRequest();
    await build();
    const template = await read();
    expect(template).toMatchObject({ state: 'ready', agent: { name: 'fake', version: '1' }, failure: null });
    expect(template.log).toContain('$ npm ci');
    expect(template.log).toContain('ran npm ci');
    const snapshot = rig.fake.snapshots.get(template.snapshotId!);
    expect(Number(template.agentOffset)).toBe(snapshot?.guest.files.get('/var/lib/warren/agent.out')?.byteLength);
    expect(rig.fake.machines.size).toBe(0);
  });

  it('that a set-up command fails tells which, its exit code and its output, and leaves nothing behind', async () => {
    rig.fake.programs.set('warren-run-logged', (guest, { args: [path = ''] }) => {
      guest.append(path, 'npm ERR! network\n');
      throw new FakeExit(7, '');
    });
    const { build, read } = await aRequest();
    await build();
    const template = await read();
    expect(template.state).toBe('failed');
    expect(template.failure).toContain('Set-up step 1 ended with exit code 7');
    expect(template.failure).toContain('npm ERR! network');
    expect(rig.fake.machines.size).toBe(0);
    expect(await aRequest()).toMatchObject({ requested: true });
  });

  it('whose image the host has not got waits for its build, shows it, and boots from it', async () => {
    await commitFile('.warren/environment.yaml', 'image: desktop\npackages: [xterm, g++]\nsetup: [npm ci]\n');
    const desktop = anImage('desktop', 'absent');
    rig.fake.images = [anImage('base', 'ready'), desktop];
    const sources: unknown[] = [];
    rig.fake.onCreate = ({ created }) => sources.push(created.source);
    const { build, read } = await aRequest();
    const built = build();
    await until(async () => expect((await read()).log).toContain('Build the image desktop'));
    desktop.stage = 'Debian packages';
    await until(async () => expect((await read()).log).toContain('  Debian packages'));
    // A host that was restarted has forgotten the build; it is asked for again.
    desktop.state = 'absent';
    await until(() => expect(rig.fake.calls.filter((call) => call === 'buildImage desktop')).toHaveLength(2));
    desktop.state = 'ready';
    await built;
    const template = await read();
    expect(template).toMatchObject({ state: 'ready', environment: { image: 'desktop', size: { memoryMiB: 2048 } } });
    expect(template.log).toMatch(/apt-get .* install --no-install-recommends -- xterm g\+\+\n[\s\S]*npm ci/);
    expect(sources).toEqual([{ kind: 'image', variant: 'desktop' }]);
  });

  it('fails with the reason when the image cannot be built', async () => {
    await commitFile('.warren/environment.yaml', 'image: desktop\n');
    const desktop = anImage('desktop', 'absent');
    rig.fake.images = [desktop];
    const { build, read } = await aRequest();
    const built = build();
    await until(() => expect(desktop.state).toBe('building'));
    Object.assign(desktop, { state: 'failed', failure: 'the mirror is away' });
    await built;
    expect((await read()).failure).toContain('The image desktop could not be built\nthe mirror is away');
    expect(rig.fake.machines.size).toBe(0);
  });

  it('whose agent does not answer fails with the end of its error log', async () => {
    rig.agent.answers = false;
    const { build, read } = await aRequest();
    await build();
    expect(await read()).toMatchObject({ state: 'failed', failure: expect.stringContaining('panic: fake') });
  });

  it('begins again after a worker died in the middle, and leaves no machine of the first try', async () => {
    const { build, read } = await aRequest();
    rig.fake.faults.set('suspend', new FakeRefusal('internal', 'the worker was killed about here'));
    await expect(build()).rejects.toMatchObject({ code: 'internal' });
    expect(rig.fake.machines.size).toBe(1);
    await build();
    expect((await read()).state).toBe('ready');
    expect(rig.fake.machines.size).toBe(0);
  });
});
