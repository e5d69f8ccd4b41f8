import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Api } from './demo/client.ts';
import { failingSample, isUp, signInToDemo, TASK } from './demo/installation.ts';
import { isQemuRunning, listSnapshotsOf, observe, type Sighting, sameAgent } from './demo/observe.ts';
import { until } from './demo/until.ts';
import { hostdOf, loadSettings, ROOT } from './settings.ts';
import { type StartOptions, startWarren } from './start.ts';

/*
 * `npm run demo`: the main job without a person. It uses Warren as a browser would (sign-in, the public API) and checks
 * every claim from outside: QEMU in the host's process table, boot id and agent process inside the guest. Exit code 0
 * only when each step was seen.
 */

type Suspend = { ms: number; processGone: boolean };
type WakeSeen = { cause: string; latencyMs: number; sameAgentProcess: boolean; sameBootId: boolean };

const startedAt = performance.now();

function say(line: string): void {
  const at = ((performance.now() - startedAt) / 1000).toFixed(1).padStart(6);
  console.log(`${at} s  ${line}`);
}

class Journey {
  readonly api: Api;
  readonly org: string;
  readonly hostd: { url: string; token: string };
  readonly suspends: Suspend[] = [];
  readonly wakes: WakeSeen[] = [];
  readonly timings: Record<string, number> = {};
  readonly machineIds = new Set<string>();
  sessionId = '';
  first: Sighting | null = null;
  last: Sighting | null = null;
  #markedAt = performance.now();

  constructor(api: Api, org: string, hostd: { url: string; token: string }) {
    this.api = api;
    this.org = org;
    this.hostd = hostd;
  }

  mark(name: string): void {
    this.timings[`${name}Ms`] = Math.round(performance.now() - this.#markedAt);
    this.#markedAt = performance.now();
  }

  async session() {
    const view = await this.api.sessions.get.query({ org: this.org, sessionId: this.sessionId });
    if (view.session.state === 'failed') throw new Error(`The session failed: ${view.session.stateReason}`);
    return view;
  }

  async seeAwake(): Promise<Sighting> {
    const machineId = await until('the machine to run', async () => {
      const { session } = await this.session();
      return session.state === 'running' && session.machineId;
    });
    const sighting = await observe(this.hostd, machineId);
    this.first ??= sighting;
    this.machineIds.add(machineId);
    this.last = sighting;
    return sighting;
  }

  async seeAsleep(): Promise<void> {
    const before = this.last;
    if (!before) throw new Error('asleep before it was ever seen awake');
    const count = this.suspends.length + 1;
    const view = await until('the session to sleep', async () => {
      const found = await this.session();
      return found.session.state === 'suspended' && found.suspends.length >= count && found;
    });
    const suspend = view.suspends[0];
    const processGone = !(await isQemuRunning(before.qemu));
    if (!processGone) throw new Error(`QEMU process ${before.qemu.pid} still runs although the session sleeps`);
    this.suspends.push({ ms: Math.round(suspend?.releasedMs ?? Number.NaN), processGone });
    say(`asleep: QEMU process ${before.qemu.pid} is gone, released in ${Math.round(suspend?.releasedMs ?? 0)} ms`);
  }

  async seeWoken(cause: string): Promise<void> {
    const index = this.wakes.length;
    const wake = await until(`a wake by ${cause}`, async () => {
      const found = (await this.session()).wakes.filter((row) => row.cause === cause && row.deliveredAt);
      return found[0];
    });
    const sighting = await this.seeAwake();
    const first = this.first as Sighting;
    const sameBootId = sighting.bootId === first.bootId;
    const sameAgentProcess = sameAgent(sighting, first);
    const latencyMs = Math.round(wake.latencyMs ?? Number.NaN);
    this.wakes.push({ cause, latencyMs, sameAgentProcess, sameBootId });
    say(
      `woken by ${cause} in ${latencyMs} ms: new QEMU ${sighting.qemu.pid}, same boot id: ${sameBootId}, same agent process: ${sameAgentProcess}`,
    );
    if (!sameBootId || !sameAgentProcess) throw new Error(`wake ${index + 1}: not the same machine that slept`);
  }
}

async function theChange(journey: Journey) {
  return until('the change', async () => {
    const { session, change } = await journey.session();
    if (!change && session.state === 'suspended') throw new Error('The agent ended its turn without a change.');
    return change;
  });
}

async function seeChecks(journey: Journey, headSha: string, wanted: 'passed' | 'failed') {
  const checks = await until(`the checks of ${headSha.slice(0, 8)}`, async () => {
    const all = (await journey.session()).checks.filter((check) => check.commitSha === headSha);
    return all.length > 0 && all.every((check) => ['passed', 'failed', 'errored'].includes(check.state)) && all;
  });
  const summary = checks.map((check) => `${check.name} ${check.state}`).join(', ');
  say(`checks of ${headSha.slice(0, 8)}: ${summary}`);
  const failed = checks.some((check) => check.state === 'failed');
  if (checks.some((check) => check.state === 'errored') || failed !== (wanted === 'failed')) {
    throw new Error(`expected the checks to have ${wanted}, saw: ${summary}`);
  }
}

async function newHead(journey: Journey, oldHead: string): Promise<string> {
  return until('a new commit', async () => {
    const { change } = await journey.session();
    return change && change.headSha !== oldHead && change.headSha;
  });
}

async function drive(journey: Journey): Promise<{ number: number; id: string; mergedSha: string | null }> {
  const { api, org } = journey;
  const repo = await failingSample(api, org);
  const created = await api.sessions.create.mutate({ org, repo, prompt: TASK });
  journey.sessionId = created.sessionId;
  say(`session ${created.sessionId} in the repository ${repo}: “${TASK}”`);
  const awake = await journey.seeAwake();
  journey.mark('provisioned');
  say(`machine ${awake.machineId}: QEMU process ${awake.qemu.pid}, boot id ${awake.bootId}, agent process ${awake.agent.pid}`);

  const change = await theChange(journey);
  journey.mark('changeOpened');
  say(`change #${change.number} opened at ${change.headSha.slice(0, 8)}: ${change.title}`);
  await journey.seeAsleep();
  await seeChecks(journey, change.headSha, 'failed');
  await journey.seeWoken('check_failed');
  const fixed = await newHead(journey, change.headSha);
  journey.mark('checkFixed');
  say(`pushed ${fixed.slice(0, 8)} after the failed check`);
  await journey.seeAsleep();
  await seeChecks(journey, fixed, 'passed');

  const target = { org, repo, number: change.number };
  const diff = await api.changes.diff.query(target);
  const file = diff.files.find((candidate) => candidate.path.startsWith('src/')) ?? diff.files[0];
  const line = file?.hunks
    .flatMap((hunk) => hunk.lines)
    .find((candidate) => candidate.kind === 'add' && candidate.newLine !== null);
  if (!file || !line?.newLine) throw new Error('the diff has no added line to comment on');
  const body = 'Please add a short doc comment above this that says what it does.';
  const comment = { ...target, path: file.path, line: line.newLine, commitSha: diff.headSha, body };
  await api.changes.comment.mutate(comment);
  say(`review comment on ${file.path}:${line.newLine}: “${body}”`);
  await journey.seeWoken('review_comment');
  const commented = await newHead(journey, fixed);
  const reply = await until('the reply on the thread', async () => {
    const { threads } = await api.changes.get.query(target);
    return threads.flatMap((thread) => thread.comments).find((row) => row.byAgent);
  });
  journey.mark('commentAnswered');
  say(`pushed ${commented.slice(0, 8)}; replied: “${reply.body.trim().split('\n').at(-1)?.slice(0, 100)}”`);
  await journey.seeAsleep();
  await seeChecks(journey, commented, 'passed');

  await api.changes.merge.mutate({ ...target, expectedHeadSha: commented });
  const ended = await until('the session to end', async () => {
    const view = await journey.session();
    return view.session.state === 'stopped' && view;
  });
  if (ended.change?.state !== 'merged') throw new Error(`the change is ${ended.change?.state}, not merged`);
  await seeCleanedUp(journey);
  journey.mark('merged');
  say(`merged as ${ended.change.mergedSha?.slice(0, 8)}; machine, snapshots and branch are gone, the record stays`);
  return { number: change.number, id: change.id, mergedSha: ended.change.mergedSha };
}

async function seeCleanedUp(journey: Journey): Promise<void> {
  const last = journey.last as Sighting;
  if (await isQemuRunning(last.qemu)) throw new Error('QEMU still runs after the merge');
  const snapshots = await listSnapshotsOf(journey.hostd, journey.machineIds);
  if (snapshots.length > 0) throw new Error(`snapshots are left: ${snapshots.join(', ')}`);
}

async function acceleratorOf(hostd: { url: string; token: string }): Promise<'kvm' | 'tcg'> {
  const reply = await fetch(`${hostd.url}/v1/host`, { headers: { authorization: `Bearer ${hostd.token}` } });
  return ((await reply.json()) as { value: { accelerator: 'kvm' | 'tcg' } }).value.accelerator;
}

/** Runs the demo, starting Warren first when it is not up. Returns the exit code. */
export async function runDemo(options: StartOptions): Promise<number> {
  const settings = await loadSettings();
  const running = (await isUp(settings)) ? null : await startWarren(options);
  const hostd = hostdOf(settings);
  let journey: Journey | null = null;
  try {
    const accelerator = await acceleratorOf(hostd);
    const { stdout } = await promisify(execFile)('git', ['rev-parse', 'HEAD'], { cwd: ROOT }).catch(() => ({
      stdout: 'unknown',
    }));
    const { api, org } = await signInToDemo(settings);
    journey = new Journey(api, org, hostd);
    const { model } = await api.orgs.get.query({ org });
    say(`accelerator ${accelerator}; model ${model.model}${model.scripted ? ' (a scripted demo model, not an AI)' : ''}`);
    const change = await drive(journey);
    const { sessionId, suspends, wakes, timings } = journey;
    timings.totalMs = Math.round(performance.now() - startedAt);
    const result = {
      ok: true,
      sessionId,
      change: { ...change, merged: true },
      suspends,
      wakes,
      timings,
      accelerator,
      scriptedModel: model.scripted,
      commit: stdout.trim(),
    };
    console.log(JSON.stringify(result));
    return 0;
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    say(`not seen: ${message}`);
    const { sessionId = null, suspends = [], wakes = [], timings = {} } = journey ?? {};
    console.log(JSON.stringify({ ok: false, error: message, sessionId, suspends, wakes, timings }));
    return 1;
  } finally {
    await running?.stop();
  }
}
