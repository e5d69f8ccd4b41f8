import type { Machine, Session, Template } from '../../prisma/generated/client.ts';
import { isHostError } from '../../server/hosts/host-error.ts';
import { writeTimeline } from '../../server/sessions/append-event.ts';
import { requestTemplate } from '../../server/templates/request-template.ts';
import { prepareBranch } from '../guest/prepare-workspace.ts';
import { insertMachine, isMachineAlive, startMachine } from '../machines/open-machine.ts';
import { retireTemplate } from '../templates/retire-template.ts';
import { openAgentSession } from './agent-session.ts';
import { type Driver, inOrg, MovedError, move, pause, readSession, StepError } from './driver.ts';
import { failOpenTurn } from './end-turn.ts';
import { settleUnheard } from './put-away.ts';

/** Given to the agent of a fresh machine, the message would be worked on twice. */
const TURN_ENDED_WITH_MACHINE = {
  kind: 'error' as const,
  title: 'The agent’s turn ended with its machine',
  detail: 'Nothing is left of the machine in which the agent worked on this message. Pushed commits are safe.',
  nextStep: 'Send the message again if it is still to be done.',
};

/**
 * From a task to a machine in which the agent is ready for it. Each step looks at what is there first, so that another
 * worker, or a retry, goes on where this one stopped.
 */
export async function provision(driver: Driver, session: Session): Promise<void> {
  if (await isAsleep(driver, session)) {
    await move(driver, session, { to: 'resuming', reason: 'its machine had fallen asleep' });
    return;
  }
  const template = await awaitTemplate(driver, session);
  const machine = await placeMachine(driver, session, template);
  await step(driver, 'Machine forked from the template', async () => {
    const { view } = await startMachine(driver.deps, {
      machine,
      source: { kind: 'fork', snapshotId: template.snapshotId! },
    }).catch((error: unknown) => anotherTemplate(driver, session, template, error));
    return `${view.accelerator === 'tcg' ? 'emulated' : 'hardware'} machine ${view.machineId}`;
  });
  const host = await driver.deps.hosts.client(machine.hostId);
  await step(driver, 'Branch prepared', async () => {
    await prepareBranch({ host, machineId: machine.id }, session.branch, session.baseSha);
    return session.branch;
  });
  if (!(await readSession(driver)).agentSessionId) {
    await step(driver, 'Agent ready', async () => {
      await openAgentSession(driver, template);
      return driver.deps.agent.name;
    });
  }
  await move(driver, session, { to: 'running', reason: 'machine and agent are ready' });
  driver.agentSeenOn = machine.id;
}

/** It was given up while it fell asleep for the first time, and retried before anybody had heard of its snapshot. */
async function isAsleep(driver: Driver, session: Session): Promise<boolean> {
  return session.snapshotId !== null || (session.machineId !== null && (await settleUnheard(driver, session)));
}

/** A template that cannot be forked any more is built anew, and waited for as if there had been none. */
async function anotherTemplate(driver: Driver, session: Session, template: Template, error: unknown): Promise<never> {
  if (!isHostError(error, 'incompatible')) throw error;
  const { deps, ref } = driver;
  await retireTemplate(deps, template, error.message);
  await inOrg(driver, async (tx) => {
    const { machineId } = await tx.session.findUniqueOrThrow({ where: { id: session.id } });
    await tx.machine.updateMany({
      where: { id: machineId ?? '', endedAt: null },
      data: { endedAt: deps.clock.now(), endedHow: 'deleted' },
    });
    // With the machine's row goes where its agent was to be read from.
    await tx.session.updateMany({ where: { id: session.id, version: session.version }, data: { machineId: null } });
    const detail = `it is built anew: ${error.message}`;
    await writeTimeline(tx, ref, [
      { event: { kind: 'progress', label: 'The template can no longer be used', ms: null, detail } },
    ]);
  });
  throw new MovedError(`the template of session ${session.id} was retired`);
}

/** Runs a step and shows what it took. */
async function step(driver: Driver, label: string, run: () => Promise<string>): Promise<void> {
  const startedAt = performance.now();
  const detail = await run();
  const ms = Math.round(performance.now() - startedAt);
  await inOrg(driver, (tx) => writeTimeline(tx, driver.ref, [{ event: { kind: 'progress', label, ms, detail } }]));
}

/** The ready template to fork from, waiting for its build, which is shown, when there is none. */
async function awaitTemplate(driver: Driver, session: Session): Promise<Template> {
  const { deps, ref } = driver;
  const requested = await requestTemplate(deps, {
    orgId: ref.orgId,
    repositoryId: session.repositoryId,
    commitSha: session.baseSha,
  });
  if (!requested.ok)
    throw new StepError(
      'The machine’s environment cannot be built',
      requested.problem,
      'Correct it in the repository, then start again.',
    );
  const { id } = requested.template;
  await inOrg(driver, (tx) => tx.session.update({ where: { id: session.id }, data: { templateId: id } }));
  const startedAt = performance.now();
  let seq: number | undefined;
  let shown: string | null = null;
  for (;;) {
    const template = await inOrg(driver, (tx) => tx.template.findUniqueOrThrow({ where: { id } }));
    if (template.state === 'ready' || template.state === 'failed') {
      if (seq !== undefined)
        await show(
          template.state === 'ready' ? 'Template built' : 'Template not built',
          Math.round(performance.now() - startedAt),
          null,
        );
      if (template.state === 'ready') return template;
      throw new StepError(
        'The template could not be built',
        template.failure ?? 'No cause was recorded.',
        'Correct the environment in the repository, or rebuild the template, then retry.',
      );
    }
    if (template.state === 'retired')
      throw new StepError('The template was replaced while it was waited for', id, 'Retry the session.');
    const line = lastLine(template.log);
    // Each write is a notice to every page, and to ourselves: it would be followed by the next at once.
    if (seq === undefined || line !== shown) await show('Building the repository’s template', null, line);
    shown = line;
    await pause(driver, deps.patience.pollMs);
    if ((await readSession(driver)).state !== session.state) throw new MovedError(`session ${session.id} moved on`);
  }

  async function show(label: string, ms: number | null, detail: string | null) {
    const event = { kind: 'progress' as const, label, ms, detail };
    const [row] = await inOrg(driver, (tx) => writeTimeline(tx, ref, [{ seq, event }]));
    seq = row?.seq;
  }
}

function lastLine(log: string): string | null {
  return log.trimEnd().split('\n').at(-1)?.slice(0, 300) || null;
}

/** The session's machine row: the one an earlier try began while its host still has it, else a new one. */
async function placeMachine(driver: Driver, session: Session, template: Template): Promise<Machine> {
  const { deps } = driver;
  if (session.machineId) {
    const machine = await inOrg(driver, (tx) => tx.machine.findUniqueOrThrow({ where: { id: session.machineId! } }));
    const forked = machine.bootId !== null;
    if (machine.endedAt === null && (!forked || (await isMachineAlive(deps, machine)))) return machine;
  }
  // A snapshot can only be forked where it is.
  const hostId = template.hostId!;
  const { orgId } = session;
  const lease = session.lease + 1;
  return inOrg(driver, async (tx) => {
    const owner = { sessionId: session.id, branch: session.branch };
    const machine = await insertMachine(tx, { orgId, hostId, lease, purpose: 'session', owner });
    const { count } = await tx.session.updateMany({
      // Placing raises no version: of two drivers one places.
      where: { id: session.id, version: session.version, machineId: session.machineId },
      data: { machineId: machine.id, hostId, lease, agentSessionId: null, agentModel: null, agentOffset: template.agentOffset },
    });
    if (count === 0) throw new MovedError(`session ${session.id} moved on`);
    await failOpenTurn(tx, session, TURN_ENDED_WITH_MACHINE, deps.clock.now());
    return machine;
  });
}
