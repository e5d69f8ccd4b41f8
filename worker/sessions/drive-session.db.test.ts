import { describe, expect, it } from 'vitest';
import { FakeHost, FakeRefusal } from '../../server/hosts/fake/fake-host.ts';
import type { FakeGuest } from '../../server/hosts/fake/fake-machine.ts';
import { stopSession } from '../../server/sessions/control-session.ts';
import { openTestDatabase } from '../../server/testing/database.ts';
import { buildTemplate } from '../templates/build-template.ts';
import { workerRig } from '../testing/rig.ts';

const HOST = new FakeHost().host();
const test = openTestDatabase();
const {
  rig,
  aRunningSession,
  buildAsked,
  aWorker,
  aTask,
  drive,
  say,
  read,
  messages,
  events,
  guest,
  until,
  inOrg,
  setPolicy,
  restartHost,
  commitFile,
} = workerRig(test);

describe('driving a session', () => {
  it('takes a task from template to the end of its turn', async () => {
    rig.agent.onPrompt = (turn) => {
      turn.say('I will ');
      turn.say('look.');
      turn.tool('t1', 'pending');
      turn.tool('t1', 'completed', 'ok');
      turn.say('All done.');
      turn.end();
    };
    const { session } = await aRunningSession();
    const [task] = await messages(session);
    expect(task).toMatchObject({ state: 'done', stopReason: 'end_turn', reply: 'All done.' });
    expect(rig.agent.received.at(-1)?.params?.prompt?.[0]?.text).toContain(`git push origin warren/${session.id}`);
    const shown = (await events(session)).filter(({ kind }) => ['agent_text', 'tool_call', 'turn_ended'].includes(kind));
    expect(shown).toMatchObject([
      { kind: 'agent_text', text: 'I will look.' },
      { kind: 'tool_call', status: 'completed', output: 'ok' },
      { kind: 'agent_text', text: 'All done.' },
      { kind: 'turn_ended', stopReason: 'end_turn' },
    ]);
    const egress = rig.fake.machine((await read(session)).machineId!).created.egress;
    expect(egress.services.map(({ host }) => host)).toEqual(['git.warren.internal', 'models.warren.internal']);
  });

  it('uses the conversation its template opened, unless the agent’s instructions have changed since', async () => {
    const opened = () => rig.agent.received.filter(({ method }) => method === 'session/new').length;
    await aRunningSession();
    expect(opened()).toBe(1);

    await commitFile('AGENTS.md', 'Other rules.\n');
    const session = await aTask();
    void drive(aWorker(), session);
    await until(async () => expect((await messages(session))[0]?.state).toBe('done'));
    expect(opened()).toBe(2);
  });

  it('shows the build it waits for when that has something new, not each time it looks', async () => {
    const worker = aWorker();
    const { signals } = worker.deps;
    let looks = 0;
    const subscribe = signals.subscribe.bind(signals);
    signals.subscribe = (id) => {
      const subscription = subscribe(id);
      const next: typeof subscription.next = (...wait) => {
        looks += 1;
        return subscription.next(...wait);
      };
      return { ...subscription, next };
    };
    const session = await aTask();
    void drive(worker, session);
    const building = () => inOrg((tx) => tx.template.findFirstOrThrow({ where: { repositoryId: rig.repository.id } }));
    const shown = async () => (await events(session)).filter(({ kind }) => kind === 'progress');
    await until(async () => expect(await shown()).toMatchObject([{ detail: null }]));
    const { id } = await building();
    await inOrg((tx) => tx.template.update({ where: { id }, data: { log: 'Booting\n' } }));
    await until(async () => expect(await shown()).toMatchObject([{ detail: 'Booting' }]));
    const before = looks;
    await until(() => expect(looks).toBeGreaterThan(before + 10));
    // The task, two transitions at most, and one write for each thing there was to see.
    const { _max } = await inOrg((tx) => tx.sessionEvent.aggregate({ where: { sessionId: session.id }, _max: { rev: true } }));
    expect(_max.rev).toBeLessThan(6);
  });

  it('falls asleep when idle, and wakes the same process for a message', async () => {
    await setPolicy({ idleSuspendMs: 1000 });
    const { worker, session, driving } = await aRunningSession();
    await driving;
    const asleep = await read(session);
    expect(asleep).toMatchObject({
      state: 'suspended',
      machineId: null,
      worktree: { files: [{ path: 'src/a.ts', status: 'M' }] },
    });
    expect(rig.fake.machines.size).toBe(0);

    await setPolicy({ idleSuspendMs: 3_600_000 });
    await say(session, 'And now the types');
    void drive(worker, session);
    await until(async () => expect((await messages(session))[1]?.state).toBe('done'));
    const awake = await read(session);
    expect(awake.lease).toBe(asleep.lease + 1);
    expect(rig.agent.state(await guest(session))?.memory).toHaveLength(2);
    const [wake] = await inOrg((tx) => tx.wake.findMany({ where: { sessionId: session.id } }));
    expect(wake).toMatchObject({ cause: 'message', outcome: 'delivered', sameBootId: true, sameAgentProcess: true });
    expect(wake?.latencyMs).toBeGreaterThan(0);
    expect((await events(session)).map(({ kind }) => kind)).toEqual(expect.arrayContaining(['suspended', 'woke']));
  });

  it('wakes from a copy when its host has given up its own files', async () => {
    await setPolicy({ idleSuspendMs: 1000 });
    rig.fake.objectStore = 'a store for tests';
    const { worker, session, driving } = await aRunningSession();
    await driving;
    const { snapshotId } = await read(session);
    expect(rig.fake.snapshot(snapshotId!)).toMatchObject({ durability: 'replicated', here: true });
    rig.fake.evict(snapshotId!);
    await setPolicy({ idleSuspendMs: 3_600_000 });
    await say(session, 'And now the types');
    void drive(worker, session);
    await until(async () => expect((await messages(session))[1]?.state).toBe('done'));
    expect(rig.fake.calls).toContain(`fetchSnapshot ${snapshotId}`);
    const [wake] = await inOrg((tx) => tx.wake.findMany({ where: { sessionId: session.id } }));
    expect(wake).toMatchObject({ outcome: 'delivered', sameBootId: true, sameAgentProcess: true });
  });

  it('stays awake for what the agent left running, says so once, and sleeps when it ends', async () => {
    await setPolicy({ idleSuspendMs: 1000 });
    rig.fake.onCreate = ({ activity }) => Object.defineProperty(activity, 'cpuMs', { get: () => Math.round(performance.now()) });
    const { session, driving } = await aRunningSession();
    const told = async () => (await events(session)).filter(({ label }) => label === 'Stays awake');
    await until(async () => expect(await told()).toMatchObject([{ detail: expect.stringContaining('100 % of a core') }]));
    expect((await read(session)).state).toBe('running');

    rig.fake.machine((await read(session)).machineId!).activity = { cpuMs: 1e9, egressBytes: 0 };
    await driving;
    expect((await read(session)).state).toBe('suspended');
    expect(await told()).toHaveLength(1);
  });

  it('keeps one snapshot of a session, and never the one in use', async () => {
    await setPolicy({ idleSuspendMs: 1000 });
    const { worker, session, driving } = await aRunningSession();
    await driving;
    const first = (await read(session)).snapshotId!;
    await say(session, 'Again');
    await drive(worker, session);
    const second = (await read(session)).snapshotId!;
    expect(second).not.toBe(first);
    const template = await inOrg((tx) => tx.template.findFirstOrThrow({ where: { repositoryId: rig.repository.id } }));
    expect([...rig.fake.snapshots.keys()].sort()).toEqual([second, template.snapshotId!].sort());
  });
});

describe('a session that is ended', () => {
  it('gives everything back and keeps its record', async () => {
    const { session, driving } = await aRunningSession();
    await inOrg((tx) => stopSession(tx, { orgId: rig.org.orgId, sessionId: session.id }, rig.org.ownerId));
    await driving;
    expect(await read(session)).toMatchObject({ state: 'stopped', machineId: null, snapshotId: null });
    expect(rig.fake.machines.size).toBe(0);
    expect((await messages(session))[0]?.state).toBe('done');
  });

  it('while it sleeps loses its snapshot, and no other', async () => {
    await setPolicy({ idleSuspendMs: 1000 });
    const { worker, session, driving } = await aRunningSession();
    await driving;
    await inOrg((tx) => stopSession(tx, { orgId: rig.org.orgId, sessionId: session.id }, rig.org.ownerId));
    await drive(worker, session);
    expect((await read(session)).state).toBe('stopped');
    expect(rig.fake.snapshots.size).toBe(1);
  });

  it('while its template is built stops waiting', async () => {
    const worker = aWorker();
    const session = await aTask();
    const driving = drive(worker, session);
    await until(async () => expect((await events(session)).some(({ kind }) => kind === 'progress')).toBe(true));
    await inOrg((tx) => stopSession(tx, { orgId: rig.org.orgId, sessionId: session.id }, rig.org.ownerId));
    await driving;
    expect((await read(session)).state).toBe('stopped');
  });
});

describe('a message that arrives while the machine falls asleep', () => {
  it('turns it around, whenever it arrives', async () => {
    await setPolicy({ idleSuspendMs: 1000 });
    const { worker, session, driving } = await aRunningSession();
    // Between the decision and the suspend, and again between the suspend and its record.
    let said = 0;
    for (const program of ['warren-capture-worktree', 'warren-sight-agent']) {
      const run = rig.fake.programs.get(program)!;
      rig.fake.programs.set(program, async (machine, call) => {
        rig.fake.programs.set(program, run);
        said += 1;
        await say(session, `Wait ${said}`);
        return run(machine, call);
      });
    }
    await driving;
    await drive(worker, session);
    expect((await messages(session)).map(({ state }) => state)).toEqual(['done', 'done', 'done']);
    const wakes = await inOrg((tx) => tx.wake.findMany({ where: { sessionId: session.id } }));
    expect(wakes.every(({ outcome, sameAgentProcess }) => outcome === 'delivered' && sameAgentProcess)).toBe(true);
    expect((await read(session)).state).toBe('suspended');
  });
});

describe('a worker killed in the middle of a turn', () => {
  it('is taken over: the prompt is given once, every frame and row is stored once', async () => {
    const first = aWorker();
    const session = await aTask();
    rig.agent.onPrompt = (turn) => {
      turn.say('One ');
      turn.tool('t1', 'pending');
    };
    void drive(first, session);
    await buildAsked(first);
    await until(async () => expect((await events(session)).some(({ kind }) => kind === 'tool_call')).toBe(true));
    await first.kill();
    const machine = await guest(session);
    const [task] = await messages(session);
    const turn = rig.agent.turn(machine, rig.agent.state(machine)!, task!.rpcId!, 'unused');
    turn.tool('t1', 'completed', 'ok');
    turn.say('two.');
    turn.end();

    void drive(aWorker(), session);
    await until(async () => expect((await messages(session))[0]?.state).toBe('done'));
    expect(rig.agent.received.filter(({ method }) => method === 'session/prompt')).toHaveLength(1);
    expect((await events(session)).filter(({ kind }) => ['agent_text', 'tool_call'].includes(kind))).toMatchObject([
      { text: 'One ' },
      { status: 'completed' },
      { text: 'two.' },
    ]);
    const frames = await inOrg((tx) => tx.agentFrame.findMany({ where: { sessionId: session.id, direction: 'agent' } }));
    const lines = machine.files.get('/var/lib/warren/agent.out')!.toString().trim().split('\n');
    // The template read the first two lines: the answers to initialize and to session/new.
    expect(frames).toHaveLength(lines.length - 2);
  });

  it('leaves the stream to one of two drivers', async () => {
    const session = await aTask();
    const worker = aWorker();
    let speak: () => void = () => {};
    rig.agent.onPrompt = (turn) => {
      turn.say('a');
      speak = () => {
        turn.say('b');
        turn.end();
      };
    };
    const one = drive(worker, session);
    await buildAsked(worker);
    await until(async () => expect((await events(session)).some(({ kind }) => kind === 'agent_text')).toBe(true));
    const two = drive(aWorker(), session);
    await until(() => expect(rig.fake.calls.filter((call) => call === 'exec').length).toBeGreaterThan(5));
    // Before the turn ends: a driver that is idle already looks at the policy again only when it next looks at all.
    await setPolicy({ idleSuspendMs: 1000 });
    speak();
    await until(async () => expect((await messages(session))[0]?.state).toBe('done'));
    await Promise.race([one, two]);
    expect((await events(session)).filter(({ kind }) => kind === 'agent_text')).toEqual([
      { kind: 'agent_text', text: 'ab', thought: false },
    ]);
    expect((await events(session)).filter(({ kind }) => kind === 'turn_ended')).toHaveLength(1);
  });
});

describe('a driver that takes over in the moment the turn ends', () => {
  it('finds it ended, and neither waits for what was read nor fails it', async () => {
    let end: () => void = () => {};
    rig.agent.onPrompt = (turn) => {
      turn.say('a');
      end = () => turn.end();
    };
    const worker = aWorker({ agentSilenceMs: 300 });
    const session = await aTask();
    void drive(worker, session);
    await buildAsked(worker);
    await until(async () => expect((await events(session)).some(({ kind }) => kind === 'agent_text')).toBe(true));
    // The second driver has read that the turn is open and is about to follow it.
    const send = rig.fake.programs.get('warren-send-line')!;
    rig.fake.programs.set('warren-send-line', async (machine, call) => {
      end();
      await until(async () => expect((await messages(session))[0]?.state).toBe('done'));
      return send(machine, call);
    });
    void drive(aWorker({ agentSilenceMs: 300 }), session);
    await until(async () => expect((await messages(session))[0]?.state).toBe('done'));
    await say(session, 'And now?');
    rig.agent.onPrompt = (turn) => turn.end();
    await until(async () => expect((await messages(session))[1]?.state).toBe('done'));
    expect((await events(session)).filter(({ kind }) => kind === 'turn_ended')).toHaveLength(2);
    expect((await events(session)).filter(({ kind }) => kind === 'error')).toEqual([]);
  });
});

describe('an agent in trouble', () => {
  it('that crashes fails its message, and the next one starts it again', async () => {
    rig.agent.onPrompt = (turn) => {
      turn.say('Working');
      turn.tool('t1', 'pending');
      turn.raw('{"jsonrpc":"2.0","method":"session/upd');
      turn.crash();
    };
    const session = await aTask();
    const worker = aWorker();
    void drive(worker, session);
    await buildAsked(worker);
    await until(async () => expect((await messages(session))[0]?.state).toBe('failed'));
    expect((await read(session)).state).toBe('running');
    expect(await events(session)).toContainEqual(
      expect.objectContaining({ kind: 'error', detail: expect.stringContaining('panic: fake') }),
    );

    rig.agent.onPrompt = (turn) => {
      turn.say('Back.');
      turn.end();
    };
    await say(session, 'Go on');
    await until(async () => expect((await messages(session))[1]).toMatchObject({ state: 'done', reply: 'Back.' }));
    expect(rig.agent.received.map(({ method }) => method)).toContain('session/load');
  });

  it('that is silent is cancelled, then given up and ended, and the next message starts another', async () => {
    let hung: FakeGuest | null = null;
    rig.agent.onPrompt = (_turn, guest) => {
      hung = guest;
    };
    const session = await aTask();
    const worker = aWorker({ agentSilenceMs: 200 });
    void drive(worker, session);
    await buildAsked(worker);
    await until(async () => expect((await messages(session))[0]?.state).toBe('failed'));
    expect(rig.agent.received.map(({ method }) => method)).toContain('session/cancel');
    expect(await events(session)).toContainEqual(
      expect.objectContaining({ kind: 'error', title: expect.stringContaining('said nothing') }),
    );
    // Left alone, it would be there again after the next sleep.
    expect(rig.agent.state(hung!)?.alive).toBe(false);
    rig.agent.onPrompt = (turn) => turn.end();
    await say(session, 'Go on');
    await until(async () => expect((await messages(session))[1]?.state).toBe('done'));
  });

  it('that writes what is no message is reported, and its turn goes on', async () => {
    rig.agent.onPrompt = (turn) => {
      turn.raw('Segmentation fault (not really)\n');
      turn.say('Fine.');
      turn.end();
    };
    const { session } = await aRunningSession();
    expect((await messages(session))[0]).toMatchObject({ state: 'done', reply: 'Fine.' });
    expect(await events(session)).toContainEqual(
      expect.objectContaining({ kind: 'error', detail: expect.stringContaining('not really') }),
    );
  });

  it('that refuses its prompt fails the message with its own words', async () => {
    rig.agent.onPrompt = (turn) => turn.refuse('429 from the model');
    const session = await aTask();
    const worker = aWorker();
    void drive(worker, session);
    await buildAsked(worker);
    await until(async () => expect((await messages(session))[0]?.state).toBe('failed'));
    expect(await events(session)).toContainEqual(expect.objectContaining({ kind: 'error', detail: '429 from the model' }));
  });

  it('that asks for permission gets it, once', async () => {
    const answers: unknown[] = [];
    rig.agent.onPrompt = (turn) => {
      turn.askPermission('p1');
      rig.agent.onAnswer = (result) => {
        answers.push(result);
        turn.end();
      };
    };
    await aRunningSession();
    expect(answers).toEqual([{ outcome: { outcome: 'selected', optionId: 'yes' } }]);
  });

  it('ends its turn when a person cancels it', async () => {
    rig.agent.onPrompt = (turn) => {
      turn.say('Thinking');
      rig.agent.onCancel = () => turn.end('cancelled');
    };
    const session = await aTask();
    const worker = aWorker();
    void drive(worker, session);
    await buildAsked(worker);
    await until(async () => expect((await events(session)).some(({ kind }) => kind === 'agent_text')).toBe(true));
    await inOrg((tx) => tx.message.updateMany({ where: { sessionId: session.id }, data: { cancelAt: new Date() } }));
    await until(async () => expect((await messages(session))[0]).toMatchObject({ state: 'done', stopReason: 'cancelled' }));
  });
});

describe('a host in trouble', () => {
  it('whose disk is full makes a machine stand still, which is told once and is no silence of the agent', async () => {
    const worker = aWorker({ agentSilenceMs: 300 });
    const session = await aTask();
    let end: () => void = () => {};
    rig.agent.onPrompt = (turn) => {
      turn.say('a');
      end = () => turn.end();
    };
    void drive(worker, session);
    await buildAsked(worker);
    await until(async () => expect((await events(session)).some(({ kind }) => kind === 'agent_text')).toBe(true));
    const { view } = rig.fake.machine((await read(session)).machineId!);
    let looks = 0;
    const stalled = {
      configurable: true,
      enumerable: true,
      get: () => {
        looks += 1;
        return 'the disk is full';
      },
    };
    Object.defineProperty(view, 'stalled', stalled);
    const told = async () => (await events(session)).filter(({ title }) => title === 'The machine stands still');
    await until(async () => expect(await told()).toHaveLength(1));
    // Far beyond what an agent may be silent for.
    await until(() => expect(looks).toBeGreaterThan(10));
    Object.defineProperty(view, 'stalled', { value: null, enumerable: true });
    end();
    await until(async () => expect((await messages(session))[0]?.state).toBe('done'));
    expect(await told()).toHaveLength(1);
  });

  it('whose daemon goes away in the middle of a turn is waited for', async () => {
    let finish: () => void = () => {};
    rig.agent.onPrompt = (turn) => {
      turn.say('Working');
      finish = () => {
        turn.say(' on.');
        turn.end();
      };
    };
    const session = await aTask();
    const worker = aWorker();
    void drive(worker, session);
    await buildAsked(worker);
    await until(async () => expect((await events(session)).some(({ kind }) => kind === 'agent_text')).toBe(true));
    await restartHost(() => finish());
    await until(async () => expect((await messages(session))[0]).toMatchObject({ state: 'done', reply: 'Working on.' }));
    expect((await read(session)).state).toBe('running');
  });

  it('that has no room fails the session with what to do', async () => {
    const worker = aWorker();
    const session = await aTask();
    const driving = drive(worker, session);
    const template = await until(() =>
      inOrg((tx) => tx.template.findFirstOrThrow({ where: { repositoryId: rig.repository.id } })),
    );
    rig.fake.host = () => ({ ...HOST, memoryFreeMiB: 100 }) as never;
    await buildTemplate(worker.deps, { orgId: rig.org.orgId, templateId: template.id });
    await driving;
    expect(await read(session)).toMatchObject({ state: 'failed' });
    expect(await events(session)).toContainEqual(
      expect.objectContaining({ kind: 'error', detail: expect.stringContaining('MiB free') }),
    );
  });

  it('that cannot load the memory leads to an offer, and a retry starts from the disk', async () => {
    await setPolicy({ idleSuspendMs: 1000 });
    const { worker, session, driving } = await aRunningSession();
    await driving;
    await setPolicy({ idleSuspendMs: 3_600_000 });
    rig.fake.faults.set('create', new FakeRefusal('incompatible', 'made under another accelerator'));
    await say(session, 'Hello');
    await drive(worker, session);
    expect(await read(session)).toMatchObject({ state: 'failed', machineId: null });

    await say(session, 'Try again');
    void drive(worker, session);
    await until(async () => expect((await messages(session)).map(({ state }) => state)).toEqual(['done', 'done', 'done']));
    expect(rig.fake.machine((await read(session)).machineId!).created.source.kind).toBe('disk');
  });

  it('that loses the machine puts the session back to its last sleep', async () => {
    await setPolicy({ idleSuspendMs: 1000 });
    const { worker, session, driving } = await aRunningSession();
    await driving;
    const { snapshotId } = await read(session);
    rig.agent.onPrompt = (turn) => turn.say('Working'.repeat(1000));
    await say(session, 'Hello');
    const again = drive(worker, session);
    await until(async () => expect((await events(session)).at(-1)?.kind).toBe('agent_text'));
    rig.fake.endMachine((await read(session)).machineId!);
    await again;
    expect(await read(session)).toMatchObject({ state: 'suspended', snapshotId, machineId: null });
    expect((await messages(session))[1]?.state).toBe('failed');

    // It goes on reading where that sleep left off, not where the lost machine had come to.
    rig.agent.onPrompt = (turn) => {
      turn.say('Short.');
      turn.end();
    };
    await say(session, 'Once more');
    await drive(worker, session);
    expect((await messages(session))[2]).toMatchObject({ state: 'done', reply: 'Short.' });
  });

  it('that lost the machine of an idle session brings its last sleep back for the next message', async () => {
    await setPolicy({ idleSuspendMs: 1000 });
    const { worker, session, driving } = await aRunningSession();
    await driving;
    await setPolicy({ idleSuspendMs: 3_600_000 });
    await say(session, 'Hello');
    void drive(worker, session);
    await until(async () => expect((await messages(session))[1]?.state).toBe('done'));
    const lost = (await read(session)).machineId!;
    rig.fake.endMachine(lost);
    // The first may find out and be lost with the machine; the one behind it brings back the last sleep.
    await Promise.all([say(session, 'Still there?'), say(session, 'Hello again')]);
    await until(async () => expect((await messages(session)).at(-1)?.state).toBe('done'));
    expect((await read(session)).machineId).not.toBe(lost);
    expect(await events(session)).toContainEqual(expect.objectContaining({ kind: 'error', title: 'The machine was lost' }));
  });

  it.each(['the first', 'a later'])(
    'that has no room for %s snapshot keeps the machine, and a retry goes on in it',
    async (which) => {
      await setPolicy({ idleSuspendMs: 1000 });
      const { worker, session, driving } = await aRunningSession();
      if (which === 'the first') rig.fake.faults.set('suspend', new FakeRefusal('disk_full', 'no space left'));
      await driving;
      if (which === 'a later') {
        rig.fake.faults.set('suspend', new FakeRefusal('disk_full', 'no space left'));
        await say(session, 'Hello');
        await drive(worker, session);
      }
      const failed = await read(session);
      expect(failed).toMatchObject({ state: 'failed', stateReason: expect.stringContaining('no space left') });
      await say(session, 'Go on');
      await drive(worker, session);
      expect((await messages(session)).at(-1)?.state).toBe('done');
      const newest = await inOrg((tx) =>
        tx.machine.findFirst({ where: { sessionId: session.id }, orderBy: { createdAt: 'desc' } }),
      );
      expect(newest?.id).toBe(failed.machineId);
    },
  );

  it('that fails to resume leaves the session asleep, and the next wake tries again', async () => {
    await setPolicy({ idleSuspendMs: 1000 });
    const { worker, session, driving } = await aRunningSession();
    await driving;
    rig.fake.faults.set('create', new FakeRefusal('no_capacity', 'full'));
    await say(session, 'Hello');
    await drive(worker, session);
    expect(await read(session)).toMatchObject({ state: 'suspended', machineId: null });
    const wakes = await inOrg((tx) => tx.wake.findMany({ where: { sessionId: session.id } }));
    expect(wakes).toMatchObject([{ outcome: 'failed', detail: 'full' }]);
    await say(session, 'Again');
    await drive(worker, session);
    expect((await messages(session)).map(({ state }) => state)).toEqual(['done', 'done', 'done']);
  });
});
