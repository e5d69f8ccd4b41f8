import { z } from 'zod';
import { GUEST } from '../../hostd/contract/machines.ts';
import { FrameSplitter } from '../acp/frame-splitter.ts';
import {
  type ClientFrame,
  initializeFrame,
  initializeResultSchema,
  newSessionFrame,
  newSessionResultSchema,
  parseLine,
} from '../acp/frames.ts';
import { type AgentDefinition, agentEnvFile } from '../agents/agent.ts';
import { agentProcessSchema, agentStderrTail, sightAgent } from '../guest/agent-process.ts';
import { type Guest, runScript } from '../guest/run-script.ts';
import { sendLine } from '../guest/send-line.ts';
import { StepError } from '../sessions/driver.ts';

/** What a template keeps of its agent, in Template.agent: whoever forks it finds this process waiting in this conversation. */
export const preparedAgentSchema = z.object({
  name: z.string(),
  version: z.string().nullable(),
  /** What it asks for; absent in templates of an earlier version, whose agent is set up anew in each session. */
  model: z.string().optional(),
  /** Its `initialize` reply, raw. */
  initialize: z.unknown(),
  /** A conversation that is open and empty. Opening one takes an emulated agent 5 to 15 s. */
  sessionId: z.string(),
  process: agentProcessSchema,
});
export type PreparedAgent = z.infer<typeof preparedAgentSchema>;

export type StartedAgent = {
  agent: PreparedAgent;
  /** Bytes of its stdout that are read: where a session's reader begins. */
  offset: number;
  /** What each step took, in milliseconds. */
  startMs: number;
  initializeMs: number;
  sessionMs: number;
};

const INITIALIZE_ID = 1;
const SESSION_ID = 2;

/**
 * Installs the agent's settings, starts its unit, introduces ourselves and opens a conversation. Rejects with StepError,
 * GuestCommandError or HostError.
 */
export async function startAgent(guest: Guest, agent: AgentDefinition, timeoutMs: number): Promise<StartedAgent> {
  await installSettings(guest, agent);
  const startedAt = performance.now();
  await runScript(guest, 'start-agent', `systemctl restart ${GUEST.agentUnit}`, { user: 'root', timeoutMs: 120_000 });
  const runningAt = performance.now();
  const initialized = await ask(guest, INITIALIZE_ID, initializeFrame(INITIALIZE_ID), 0, timeoutMs);
  const hello = initializeResultSchema.parse(initialized.result);
  const initializedAt = performance.now();
  const opened = await ask(guest, SESSION_ID, newSessionFrame(SESSION_ID, GUEST.workspace), initialized.offset, timeoutMs);
  const openedAt = performance.now();
  const { process } = await sightAgent(guest);
  if (process === null) throw new StepError('The agent ended right after its start', await agentStderrTail(guest));
  return {
    agent: {
      name: hello.agentInfo?.name ?? agent.name,
      version: hello.agentInfo?.version ?? null,
      model: agent.model.name,
      initialize: initialized.result,
      sessionId: newSessionResultSchema.parse(opened.result).sessionId,
      process,
    },
    offset: opened.offset,
    startMs: Math.round(runningAt - startedAt),
    initializeMs: Math.round(initializedAt - runningAt),
    sessionMs: Math.round(openedAt - initializedAt),
  };
}

/** Writes what the agent reads when it starts. */
export async function installSettings({ host, machineId }: Guest, agent: AgentDefinition): Promise<void> {
  for (const { path, text } of agent.files) {
    await runScript({ host, machineId }, 'make-directory', 'mkdir -p "$(dirname "$1")"', { args: [path] });
    await host.write(machineId, { path, dataBase64: Buffer.from(text).toString('base64'), mode: 'replace' });
  }
  const env = Buffer.from(agentEnvFile(agent)).toString('base64');
  await host.write(machineId, { path: GUEST.agentEnv, dataBase64: env, mode: 'replace', user: 'root' });
}

type Reply = { result: unknown; offset: number };

/** One request and its reply, read from `offset` on. */
async function ask(guest: Guest, id: number, frame: ClientFrame, offset: number, timeoutMs: number): Promise<Reply> {
  await sendLine(guest, `t${id}`, JSON.stringify(frame));
  const splitter = new FrameSplitter(offset);
  for await (const bytes of guest.host.tail(guest.machineId, GUEST.agentStdout, offset, AbortSignal.timeout(timeoutMs))) {
    for (const line of splitter.push(bytes)) {
      const parsed = line.kind === 'line' ? parseLine(line.text) : null;
      if (!parsed?.ok || parsed.frame.kind === 'notification' || parsed.frame.id !== id) continue;
      if (parsed.frame.kind === 'result') return { result: parsed.frame.result, offset: line.endOffset };
      if (parsed.frame.kind === 'error') throw new StepError('The agent refused to start', parsed.frame.error.message);
    }
  }
  throw new StepError(
    `The agent did not answer within ${Math.round(timeoutMs / 1000)} s`,
    (await agentStderrTail(guest)) || 'It wrote nothing to its error log.',
    'Rebuild the template.',
  );
}
