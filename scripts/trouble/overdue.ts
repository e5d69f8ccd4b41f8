import { failingSample, TASK } from '../demo/installation.ts';
import { isQemuRunning, listSnapshotsOf, observe, type Sighting, sameAgent } from '../demo/observe.ts';
import { partPid } from '../processes.ts';
import { type Case, errorsIn, eventually, looksAt, type Place } from './case.ts';
import { asSuperuser } from './superuser.ts';

/*
 * One session through every passing state, in each of which its host stops answering and its time runs out. hostd is stopped
 * with SIGSTOP; the deadline is moved into the past, since half an hour is not waited for here. The sweep that settles it is real.
 */
type Passing = 'provisioning' | 'suspending' | 'resuming' | 'stopping';

async function runOutOfTime({ settings }: Place, sessionId: string, state: Passing): Promise<void> {
  const client = await asSuperuser(settings);
  try {
    const { rowCount } = await client.query(
      `update "Session" set "deadlineAt" = now() - interval '1 second' where id = $1 and state::text = $2`,
      [sessionId, state],
    );
    if (rowCount !== 1) throw new Error(`the session left the state ${state} before its time was up`);
  } finally {
    await client.end();
  }
}

/** What people were told, and where the session was left, when its time in `state` ran out with its host silent. */
async function overdue(place: Place, state: Passing, ask: () => Promise<string>): Promise<{ sessionId: string; told: string }> {
  const hostd = await partPid(place.settings.runDir, 'hostd');
  process.kill(hostd, 'SIGSTOP');
  try {
    const sessionId = await ask();
    const { view, rows } = looksAt(place, sessionId);
    const seq = (await rows()).at(-1)?.seq ?? 0;
    await runOutOfTime(place, sessionId, state);
    const settled = await eventually(`the session not to be ${state} any more`, async () => {
      const { session } = await view();
      return session.state !== state && session;
    });
    const [told] = errorsIn(await rows(), seq);
    console.log(`  ${state} with hostd stopped: ${settled.state}, “${told}”`);
    if (told === undefined || settled.stateReason === null) throw new Error(`nobody was told how ${state} ended`);
    return { sessionId, told };
  } finally {
    process.kill(hostd, 'SIGCONT');
  }
}

export const OVERDUE: Case = {
  run: async (place) => {
    const { api, org, hostd } = place;
    const made = await overdue(place, 'provisioning', async () => {
      return (await api.sessions.create.mutate({ org, repo: await failingSample(api, org), prompt: TASK })).sessionId;
    });
    const { sessionId } = made;
    const { view, rows, untilState, untilMachine } = looksAt(place, sessionId);
    await api.sessions.retry.mutate({ org, sessionId });
    const machineId = await untilMachine();
    await eventually('tool call', async () => (await rows()).some((row) => row.event.kind === 'tool_call'));
    const before = await observe(hostd, machineId);
    const whole = async (): Promise<[Sighting, boolean]> => {
      const now = await observe(hostd, await untilMachine());
      return [now, now.bootId === before.bootId && sameAgent(now, before)];
    };

    const slept = await overdue(place, 'suspending', async () => {
      await api.sessions.suspend.mutate({ org, sessionId });
      return sessionId;
    });
    // It does fall asleep once its host answers again, or still runs: either way nothing is lost.
    await api.sessions.retry.mutate({ org, sessionId });
    const [, sameAfterSuspend] = await whole();

    await api.sessions.suspend.mutate({ org, sessionId });
    await untilState('suspended');
    const woken = await overdue(place, 'resuming', async () => {
      await api.sessions.wake.mutate({ org, sessionId });
      return sessionId;
    });
    const wake = (await view()).wakes[0];
    await api.sessions.wake.mutate({ org, sessionId });
    const [last, sameAfterWake] = await whole();
    const ended = await eventually('the end of its turn', async () =>
      (await rows()).find(({ event }) => event.kind === 'turn_ended'),
    );

    const stopped = await overdue(place, 'stopping', async () => {
      await api.sessions.stop.mutate({ org, sessionId });
      return sessionId;
    });
    await api.sessions.stop.mutate({ org, sessionId });
    await untilState('stopped');
    const left = await listSnapshotsOf(hostd, new Set([before.machineId, last.machineId]));
    const gone = !(await isQemuRunning(last.qemu)) && left.length === 0;
    const turnEnded = ended.event.kind === 'turn_ended' && ended.event.stopReason !== 'failed';
    return {
      ok: sameAfterSuspend && sameAfterWake && wake?.outcome === 'failed' && turnEnded && gone,
      sameAfterSuspend,
      sameAfterWake,
      wakeOutcome: wake?.outcome,
      turnEnded,
      gone,
      told: [made, slept, woken, stopped].map(({ told }) => told),
    };
  },
};
