import path from 'node:path';
import type { Api } from './demo/client.ts';
import { isUp, REPOSITORY, signInToDemo, TASK } from './demo/installation.ts';
import { execInGuest, observe, type Sighting, sameAgent } from './demo/observe.ts';
import { until } from './demo/until.ts';
import { postmasterPid } from './postgres.ts';
import { partPid } from './processes.ts';
import { hostdOf, loadSettings, type Settings } from './settings.ts';
import { StageError } from './stage.ts';

/*
 * `npm run trouble`: against a running demo installation, harms one part after another in the middle of an agent's turn, and looks
 * from outside at what becomes of the session. The last line is JSON; exit code 0 only when each case ended as it must.
 * Names of cases as arguments run only those.
 */
const PATIENCE = { everyMs: 500, deadlineMs: 8 * 60_000, forgiving: true };
const MARK = '/home/agent/trouble.txt';
const PARTS = ['worker', 'hostd', 'web'] as const;

type View = Awaited<ReturnType<Api['sessions']['get']['query']>>;
type Place = { settings: Settings; hostd: { url: string; token: string }; before: Sighting };
type Case = {
  /** Does the harm once the agent is at work. Returns what it did, for people. */
  harm: (place: Place) => Promise<string>;
  /** `kept`: the turn goes on in the same machine and ends with a push. `said`: the person is told, and a message makes it work again. */
  outcome: 'kept' | 'said';
};

const postgresPid = ({ dataDir }: Settings) => postmasterPid(path.join(dataDir, 'postgres'));

function kill(...pids: number[]): string {
  for (const pid of pids) process.kill(pid, 'SIGKILL');
  return `killed ${pids.join(', ')}`;
}

const CASES: Record<string, Case> = {
  worker: { harm: async ({ settings }) => kill(await partPid(settings.runDir, 'worker')), outcome: 'kept' },
  hostd: { harm: async ({ settings }) => kill(await partPid(settings.runDir, 'hostd')), outcome: 'kept' },
  web: { harm: async ({ settings }) => kill(await partPid(settings.runDir, 'web')), outcome: 'kept' },
  postgres: { harm: async ({ settings }) => kill(await postgresPid(settings)), outcome: 'kept' },
  everything: {
    harm: async ({ settings }) => {
      const parts = await Promise.all(PARTS.map((name) => partPid(settings.runDir, name)));
      return kill(...parts, await postgresPid(settings));
    },
    outcome: 'kept',
  },
  qemu: { harm: async ({ before }) => kill(before.qemu.pid), outcome: 'said' },
  agent: {
    // Noticed after WARREN_AGENT_SILENCE_MS: an installation with the default of ten minutes outlasts this program's patience.
    harm: async ({ hostd, before }) => {
      await execInGuest(hostd, before.machineId, `kill -STOP ${before.agent.pid} $(pgrep -P ${before.agent.pid})`);
      return `stopped the agent, process ${before.agent.pid} in the machine`;
    },
    outcome: 'said',
  },
};

const eventually = <T>(what: string, look: () => Promise<T | null | undefined | false>) => until(what, look, PATIENCE);

async function runCase(name: string, rule: Case, api: Api, org: string, settings: Settings) {
  const hostd = hostdOf(settings);
  const { sessionId } = await api.sessions.create.mutate({ org, repo: REPOSITORY, prompt: TASK });
  const get = (): Promise<View> => api.sessions.get.query({ org, sessionId });
  const rows = async () => (await api.sessions.events.query({ org, sessionId, afterRev: 0 })).rows;
  const awake = await eventually('machine', async () => {
    const { session } = await get();
    return session.state === 'running' && session.machineId;
  });
  await eventually('tool call', async () => (await rows()).some((row) => row.event.kind === 'tool_call'));
  const before = await observe(hostd, awake);
  // What only the machine's disk has.
  await execInGuest(hostd, awake, `echo ${sessionId} > ${MARK} && sync ${MARK}`);
  const rowsBefore = await rows();
  const done = await rule.harm({ settings, hostd, before });
  const harmedAt = performance.now();
  console.log(`  ${name}: ${done} in the turn of ${sessionId}`);

  const rested = await eventually('rest', async () => {
    const view = await get();
    return ['suspended', 'failed'].includes(view.session.state) && view;
  });
  const restedMs = Math.round(performance.now() - harmedAt);
  const rowsAfter = await rows();
  const kept = rowsBefore.every((row) => rowsAfter.some((later) => later.seq === row.seq));
  const pushed = rowsAfter.filter((row) => row.event.kind === 'pushed').length;
  const said = rowsAfter
    .slice(rowsBefore.length)
    .flatMap((row) => (row.event.kind === 'error' ? [`${row.event.title}: ${row.event.detail}`] : []));
  await api.sessions.send.mutate({ org, sessionId, text: TASK });
  const again = await eventually('machine after the harm', async () => {
    const { session } = await get();
    return session.state === 'running' && session.machineId;
  });
  const after = await eventually('an agent in the machine', () => observe(hostd, again));
  const fileKept = (await execInGuest(hostd, again, `cat ${MARK} || true`)) === sessionId;
  const sameMachine = after.bootId === before.bootId && sameAgent(after, before);
  const next = await eventually('the end of a further turn', async () => {
    return (await rows()).find((row) => row.seq > (rowsAfter.at(-1)?.seq ?? 0) && row.event.kind === 'turn_ended');
  });
  const worksAgain = next.event.kind === 'turn_ended' && next.event.stopReason !== 'failed';
  const ok = kept && fileKept && worksAgain && (rule.outcome === 'kept' ? sameMachine && pushed > 0 : said.length > 0);
  await api.sessions.stop.mutate({ org, sessionId });
  return {
    name,
    ok,
    restedAs: rested.session.state,
    reason: rested.session.stateReason,
    restedMs,
    kept,
    pushed,
    sameMachine,
    fileKept,
    worksAgain,
    said,
  };
}

/**
 * @param asked names of cases; none for all
 * @returns the exit code
 * @throws when a name is not one, or no installation runs here
 */
export async function runTrouble(asked: string[]): Promise<number> {
  const unknown = asked.filter((name) => !(name in CASES));
  if (unknown.length > 0) {
    throw new StageError(`There is no case ${unknown.join(', ')}.`, { nextStep: `choose of ${Object.keys(CASES).join(', ')}` });
  }
  const settings = await loadSettings();
  if (!(await isUp(settings))) {
    throw new StageError(`Nothing answers at ${settings.url}.`, { nextStep: 'run npm start in another terminal first' });
  }
  const { api, org } = await signInToDemo(settings);
  const lost: string[] = [];
  const names = asked.length > 0 ? asked : Object.keys(CASES);
  for (const name of names) {
    const result = await runCase(name, CASES[name] as Case, api, org, settings).catch((cause: Error) => ({
      name,
      ok: false,
      error: cause.message,
    }));
    console.log(`  ${name}: ${JSON.stringify(result)}`);
    if (!result.ok) lost.push(name);
  }
  console.log(JSON.stringify({ tried: names.length, recovered: names.length - lost.length, lost }));
  return lost.length === 0 ? 0 : 1;
}
