import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { type Api, signIn } from './demo/client.ts';
import { execInGuest, observe, type Sighting, sameAgent } from './demo/observe.ts';
import { TASK } from './demo.ts';
import { homeOf } from './postgres.ts';
import { loadSettings, type Settings } from './settings.ts';

/*
 * `npm run trouble`: against a running demo installation, harms one part after another in the middle of an agent's turn, and looks
 * from outside at what becomes of the session. The last line is JSON; exit code 0 only when each case ended as it must.
 * Names of cases as arguments run only those.
 */
const REPOSITORY = 'sample';
const POLL_MS = 500;
const DEADLINE_MS = 8 * 60_000;

type View = Awaited<ReturnType<Api['sessions']['get']['query']>>;
type Place = { settings: Settings; hostd: { url: string; token: string }; before: Sighting };
type Case = {
  /** Does the harm once the agent is at work. Returns what it did, for people. */
  harm: (place: Place) => Promise<string>;
  /** `kept`: the turn goes on in the same machine and ends with a push. `said`: the person is told, and a message makes it work again. */
  outcome: 'kept' | 'said';
};

async function partPid(settings: Settings, name: string): Promise<number> {
  return (JSON.parse(await readFile(path.join(settings.runDir, `${name}.json`), 'utf8')) as { pid: number }).pid;
}

async function postgresPid(settings: Settings): Promise<number> {
  const home = await homeOf(path.join(settings.dataDir, 'postgres'));
  return Number((await readFile(path.join(home, 'postmaster.pid'), 'utf8')).split('\n')[0]);
}

function kill(...pids: number[]): string {
  for (const pid of pids) process.kill(pid, 'SIGKILL');
  return `killed ${pids.join(', ')}`;
}

const CASES: Record<string, Case> = {
  worker: { harm: async ({ settings }) => kill(await partPid(settings, 'worker')), outcome: 'kept' },
  hostd: { harm: async ({ settings }) => kill(await partPid(settings, 'hostd')), outcome: 'kept' },
  web: { harm: async ({ settings }) => kill(await partPid(settings, 'web')), outcome: 'kept' },
  postgres: { harm: async ({ settings }) => kill(await postgresPid(settings)), outcome: 'kept' },
  everything: {
    harm: async ({ settings }) => {
      const parts = await Promise.all(['worker', 'hostd', 'web'].map((name) => partPid(settings, name)));
      return kill(...parts, await postgresPid(settings));
    },
    outcome: 'kept',
  },
  qemu: { harm: async ({ before }) => kill(before.qemu.pid), outcome: 'said' },
  agent: {
    // Noticed after WARREN_AGENT_SILENCE_MS, ten minutes unless the installation was started with less.
    harm: async ({ hostd, before }) => {
      await execInGuest(hostd, before.machineId, `kill -STOP ${before.agent.pid} $(pgrep -P ${before.agent.pid})`);
      return `stopped the agent, process ${before.agent.pid} in the machine`;
    },
    outcome: 'said',
  },
};

/** Polls until `look` finds something; while a part is down, looking may fail. */
async function until<T>(what: string, look: () => Promise<T | null | undefined | false>): Promise<T> {
  const deadline = performance.now() + DEADLINE_MS;
  let last = '';
  while (performance.now() < deadline) {
    try {
      const found = await look();
      if (found) return found;
    } catch (cause) {
      last = cause instanceof Error ? cause.message : String(cause);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  throw new Error(`no ${what} within ${DEADLINE_MS / 60_000} minutes${last ? `; last trouble: ${last}` : ''}`);
}

async function runCase(name: string, rule: Case, api: Api, org: string, settings: Settings): Promise<Record<string, unknown>> {
  const hostd = { url: `http://127.0.0.1:${settings.hostdPort}`, token: settings.secrets.hostd };
  const { sessionId } = await api.sessions.create.mutate({ org, repo: REPOSITORY, prompt: TASK });
  const get = (): Promise<View> => api.sessions.get.query({ org, sessionId });
  const rows = async () => (await api.sessions.events.query({ org, sessionId, afterRev: 0 })).rows;
  const awake = await until('machine', async () => {
    const { session } = await get();
    return session.state === 'running' && session.machineId;
  });
  await until('tool call', async () => (await rows()).some((row) => row.event.kind === 'tool_call'));
  const before = await observe(hostd, awake);
  const rowsBefore = await rows();
  const done = await rule.harm({ settings, hostd, before });
  const harmedAt = performance.now();
  console.log(`  ${name}: ${done} in the turn of ${sessionId}`);

  const rested = await until('rest', async () => {
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
  const again = await until('machine after the harm', async () => {
    const { session } = await get();
    return session.state === 'running' && session.machineId;
  });
  const after = await until('an agent in the machine', () => observe(hostd, again));
  const sameMachine = after.bootId === before.bootId && sameAgent(after, before);
  const next = await until('the end of a further turn', async () => {
    return (await rows()).find((row) => row.seq > (rowsAfter.at(-1)?.seq ?? 0) && row.event.kind === 'turn_ended');
  });
  const worksAgain = next.event.kind === 'turn_ended' && next.event.stopReason !== 'failed';
  const ok = kept && worksAgain && (rule.outcome === 'kept' ? sameMachine && pushed > 0 : said.length > 0);
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
    worksAgain,
    said,
  };
}

const settings = await loadSettings();
const { DEMO } = await import('../prisma/seed.ts');
const api = await signIn(settings.url, DEMO.email, settings.secrets.demoPassword);
const asked = process.argv.slice(2).filter((arg) => !arg.startsWith('-'));
const results: Record<string, unknown>[] = [];
for (const [name, rule] of Object.entries(CASES)) {
  if (asked.length > 0 && !asked.includes(name)) continue;
  const result = await runCase(name, rule, api, DEMO.orgSlug, settings).catch((cause: Error) => ({
    name,
    ok: false,
    error: cause.message,
  }));
  console.log(`  ${name}: ${JSON.stringify(result)}`);
  results.push(result);
}
const lost = results.filter((result) => result.ok !== true).map((result) => result.name);
console.log(JSON.stringify({ tried: results.length, recovered: results.length - lost.length, lost }));
process.exitCode = results.length > 0 && lost.length === 0 ? 0 : 1;
