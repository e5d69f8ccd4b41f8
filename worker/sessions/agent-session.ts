import { z } from 'zod';
import { GUEST } from '../../hostd/contract/machines.ts';
import type { Session, Template } from '../../prisma/generated/client.ts';
import type { Tx } from '../../server/db.ts';
import { tryGit } from '../../server/forge/git.ts';
import { repositoryDir } from '../../server/forge/layout.ts';
import { appendEvent } from '../../server/sessions/append-event.ts';
import {
  initializeFrame,
  initializeResultSchema,
  loadSessionFrame,
  newSessionFrame,
  newSessionResultSchema,
} from '../acp/frames.ts';
import type { AgentDefinition } from '../agents/agent.ts';
import { agentProcessSchema, agentStderrTail, isSameProcess, restartAgent, sightAgent } from '../guest/agent-process.ts';
import type { Guest } from '../guest/run-script.ts';
import { installSettings, preparedAgentSchema } from '../templates/start-agent.ts';
import { deliverFrom, storeRequest } from './agent-requests.ts';
import { type Driver, guestOf, inOrg, MovedError, readSession, ShutdownError, StepError } from './driver.ts';
import { followAgent } from './follow-agent.ts';
import { type AgentReply, readerOf } from './store-lines.ts';

type Build = Parameters<typeof storeRequest>[2];
const anyResult = z.unknown();

/** Asks the agent something outside a turn and waits for its answer. Rejects with StepError when none comes. */
export async function askAgent<T>(
  driver: Driver,
  what: string,
  build: Build,
  schema: z.ZodType<T>,
  onResult: (tx: Tx, result: T) => Promise<void> = async () => {},
): Promise<T> {
  const session = await readSession(driver);
  const rpcId = await inOrg(driver, (tx) => storeRequest(tx, session, build));
  await deliverFrom(driver, session, rpcId);
  const read = (reply: AgentReply): T => {
    if (!reply.ok)
      throw new StepError(
        `The agent refused ${what}`,
        reply.error.message.slice(0, 4000).toWellFormed(),
        'Retry the session; rebuild the template if it stays.',
      );
    return schema.parse(reply.result);
  };
  const end = await followAgent(driver, {
    session,
    reader: readerOf(session, rpcId, null),
    silenceMs: driver.deps.patience.agentReplyMs,
    onReply: async (tx, reply) => {
      if (reply.ok) await onResult(tx, read(reply));
    },
  });
  switch (end.kind) {
    case 'reply':
      return read(end.reply);
    case 'moved':
      throw new MovedError(`session ${session.id} moved on during ${what}`);
    case 'shutdown':
      throw new ShutdownError('worker is shutting down');
    case 'machine_gone':
      throw new StepError('The machine ended', end.reason, 'Retry the session.');
    case 'agent_gone':
    case 'silent': {
      const tail = await agentStderrTail(await guestOf(driver, session));
      throw new StepError(
        `The agent did not answer ${what}`,
        tail || 'It wrote nothing to its error log.',
        'Retry the session; rebuild the template if it stays.',
      );
    }
  }
}

/**
 * A conversation with the agent that came with the template: the one it has open already, unless the instructions it read
 * there are not this session's.
 */
export async function openAgentSession(driver: Driver, template: Template): Promise<void> {
  const session = await readSession(driver);
  const prepared = preparedAgentSchema.safeParse(template.agent).data;
  const { process } = await sightAgent(await guestOf(driver, session), prepared?.process);
  const { model } = driver.deps.agent;
  // Set up for another model than is served by now: this process would ask for the wrong one.
  if (process === null || prepared?.model !== model.name) return reviveAgent(driver);
  const asking = askingFor(driver.deps.agent);
  if (prepared && isSameProcess(process, prepared.process) && (await hasSameInstructions(driver, session, template))) {
    return inOrg(driver, async (tx) => {
      await tx.session.update({ where: { id: session.id }, data: { agentSessionId: prepared.sessionId, ...asking } });
      await tx.machine.update({ where: { id: session.machineId! }, data: { agentProcess: process } });
    });
  }
  await askAgent(
    driver,
    'session/new',
    (id) => newSessionFrame(id, GUEST.workspace),
    newSessionResultSchema,
    async (tx, result) => {
      await tx.session.update({ where: { id: session.id }, data: { agentSessionId: result.sessionId, ...asking } });
      await tx.machine.update({ where: { id: session.machineId! }, data: { agentProcess: process } });
    },
  );
}

/** What agents read when a conversation is opened. */
const INSTRUCTION_FILES = [':(glob)**/AGENTS.md', '.codex'];

async function hasSameInstructions({ deps }: Driver, session: Session, template: Template): Promise<boolean> {
  if (template.commitSha === session.baseSha) return true;
  const gitDir = repositoryDir(deps.forgeDir, session.orgId, session.repositoryId);
  const args = ['diff', '--quiet', template.commitSha, session.baseSha, '--', ...INSTRUCTION_FILES];
  return (await tryGit(args, { gitDir })).exitCode === 0;
}

/**
 * Makes sure that the process which holds the conversation is there before it is spoken to.
 * @returns 'same' when it is; 'loaded' when a new one took the conversation up; 'new' when it starts without memory
 */
export async function ensureAgent(driver: Driver): Promise<'same' | 'loaded' | 'new'> {
  const session = await readSession(driver);
  const machine = await inOrg(driver, (tx) => tx.machine.findUniqueOrThrow({ where: { id: session.machineId! } }));
  const expected = agentProcessSchema.safeParse(machine.agentProcess).data ?? null;
  const { process } = await sightAgent(await guestOf(driver, session), expected);
  const followsModel = (session.agentModel ?? session.modelName) === driver.deps.agent.model.name;
  if (followsModel && session.agentSessionId && isSameProcess(process, expected)) return 'same';
  await reviveAgent(driver);
  const after = await readSession(driver);
  return after.agentSessionId === session.agentSessionId ? 'loaded' : 'new';
}

/** A session's columns once its agent asks for this agent's model. */
function askingFor({ model: { name, scripted } }: AgentDefinition) {
  return { agentModel: name, modelName: name, scripted };
}

/** Sets the agent up for the model that is served now, and says so where the session began with another. */
async function followModel(driver: Driver, session: Session, guest: Guest): Promise<void> {
  const { agent } = driver.deps;
  const asking = askingFor(agent);
  if (session.agentModel === asking.agentModel) return;
  await installSettings(guest, agent);
  await inOrg(driver, async (tx) => {
    await tx.session.update({ where: { id: session.id }, data: asking });
    if (session.modelName === asking.modelName) return;
    const detail = `${session.modelName} is no longer served here; the agent is started anew and asks for ${asking.modelName}`;
    await appendEvent(tx, driver.ref, { kind: 'progress', label: 'Model changed', ms: null, detail });
  });
}

/** Starts the agent anew and takes up the old conversation where it can, or begins another. */
async function reviveAgent(driver: Driver): Promise<void> {
  const session = await readSession(driver);
  const guest = await guestOf(driver, session);
  await followModel(driver, session, guest);
  await restartAgent(guest);
  const { process } = await sightAgent(guest);
  const hello = await askAgent(driver, 'initialize', (id) => initializeFrame(id), initializeResultSchema);
  const keep = async (tx: Tx, agentSessionId: string) => {
    await tx.session.update({ where: { id: session.id }, data: { agentSessionId } });
    await tx.machine.update({ where: { id: session.machineId! }, data: { agentProcess: process ?? undefined } });
  };
  const previous = session.agentSessionId;
  if (previous && hello.agentCapabilities?.loadSession) {
    const loaded = await askAgent(
      driver,
      'session/load',
      (id) => loadSessionFrame(id, previous, GUEST.workspace),
      anyResult,
      (tx) => keep(tx, previous),
    )
      .then(() => true)
      .catch((error: unknown) => {
        // Conversation files may be gone or from another version; a new conversation with a summary is the way on.
        if (error instanceof StepError) return false;
        throw error;
      });
    if (loaded) return;
  }
  await askAgent(
    driver,
    'session/new',
    (id) => newSessionFrame(id, GUEST.workspace),
    newSessionResultSchema,
    (tx, result) => keep(tx, result.sessionId),
  );
}
