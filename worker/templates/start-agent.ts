import { GUEST } from '../../hostd/contract/machines.ts';
import { FrameSplitter } from '../acp/frame-splitter.ts';
import { initializeFrame, initializeResultSchema, parseLine } from '../acp/frames.ts';
import { type AgentDefinition, agentEnvFile } from '../agents/agent.ts';
import { agentStderrTail } from '../guest/agent-process.ts';
import { type Guest, runScript } from '../guest/run-script.ts';
import { sendLine } from '../guest/send-line.ts';
import { CLIENT_VERSION } from '../sessions/agent-session.ts';
import { StepError } from '../sessions/driver.ts';

export type StartedAgent = {
  /** Bytes of its stdout that are read: where a session's reader begins. */
  offset: number;
  /** Its `initialize` reply, raw. */
  initialize: unknown;
  name: string;
  version: string | null;
  startMs: number;
  initializeMs: number;
};

const INITIALIZE_ID = 1;

/** Installs the agent's settings, starts its unit and introduces ourselves. Rejects with GuestCommandError or HostError. */
export async function startAgent(guest: Guest, agent: AgentDefinition, timeoutMs: number): Promise<StartedAgent> {
  const { host, machineId } = guest;
  for (const { path, text } of agent.files) {
    await runScript(guest, 'make-directory', 'mkdir -p "$(dirname "$1")"', { args: [path] });
    await host.write(machineId, { path, dataBase64: Buffer.from(text).toString('base64'), mode: 'replace' });
  }
  const env = Buffer.from(agentEnvFile(agent)).toString('base64');
  await host.write(machineId, { path: GUEST.agentEnv, dataBase64: env, mode: 'replace', user: 'root' });
  const startedAt = performance.now();
  await runScript(guest, 'start-agent', `systemctl restart ${GUEST.agentUnit}`, { user: 'root', timeoutMs: 120_000 });
  const runningAt = performance.now();
  await sendLine(guest, 'initialize', JSON.stringify(initializeFrame(INITIALIZE_ID, CLIENT_VERSION)));
  const { result, offset } = await readReply(guest, timeoutMs);
  const initializeMs = performance.now() - runningAt;
  const hello = initializeResultSchema.parse(result);
  return {
    offset,
    initialize: result,
    name: hello.agentInfo?.name ?? agent.name,
    version: hello.agentInfo?.version ?? null,
    startMs: Math.round(runningAt - startedAt),
    initializeMs: Math.round(initializeMs),
  };
}

async function readReply(guest: Guest, timeoutMs: number): Promise<{ result: unknown; offset: number }> {
  const stop = AbortSignal.timeout(timeoutMs);
  const splitter = new FrameSplitter(0);
  for await (const bytes of guest.host.tail(guest.machineId, GUEST.agentStdout, 0, stop)) {
    for (const line of splitter.push(bytes)) {
      const parsed = line.kind === 'line' ? parseLine(line.text) : null;
      if (!parsed?.ok || parsed.frame.kind === 'notification' || parsed.frame.id !== INITIALIZE_ID) continue;
      if (parsed.frame.kind === 'error')
        throw new StepError('The agent refused to start a conversation', parsed.frame.error.message);
      if (parsed.frame.kind !== 'result') continue;
      return { result: parsed.frame.result, offset: line.endOffset };
    }
  }
  const tail = await agentStderrTail(guest);
  throw new StepError(
    `The agent did not answer within ${Math.round(timeoutMs / 1000)} s`,
    tail || 'It wrote nothing to its error log.',
    'Rebuild the template.',
  );
}
