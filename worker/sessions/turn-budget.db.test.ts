import { describe, expect, it } from 'vitest';
import { GUEST } from '../../hostd/contract/machines.ts';
import { openTestDatabase } from '../../server/testing/database.ts';
import { TURN_MAX } from '../acp/turn-budget.ts';
import type { FakeTurn } from '../testing/fake-agent.ts';
import { workerRig } from '../testing/rig.ts';

const test = openTestDatabase();
const { rig, aRunningSession, aWorker, drive, say, read, messages, events, guest, until, inOrg } = workerRig(test);

const notice = (title: string) =>
  `${JSON.stringify({ jsonrpc: '2.0', method: 'session/update', params: { sessionId: 's', update: { sessionUpdate: 'notice', severity: 'info', title } } })}\n`;

/** Everything beyond the first thousands of it is too much. */
const flood = (turn: FakeTurn, from: number) =>
  turn.raw(Array.from({ length: 3000 }, (_, index) => notice(`${from + index}`)).join(''));

describe('an agent that floods its stdout', () => {
  it('fills no more of the database than a turn may, is told of once, answered, and its turn ends', async () => {
    const { worker, session } = await aRunningSession();
    let turn: FakeTurn | null = null;
    rig.agent.onPrompt = (begun) => {
      turn = begun;
      flood(begun, 0);
      flood(begun, 3000);
    };
    let answer: unknown;
    rig.agent.onAnswer = (result) => {
      answer = result;
    };
    await say(session, 'Flood');
    const shown = async () => (await events(session)).filter(({ label }) => /^\d+$/.test(String(label)));
    const told = async () =>
      (await events(session)).filter(({ title }) => title === 'The agent wrote more in this turn than is kept');
    await until(async () => expect(await told()).toHaveLength(1));
    expect(await shown()).toHaveLength(TURN_MAX.rows);

    // Another worker finds it as spent as it is.
    await worker.kill();
    void drive(aWorker(), session);
    flood(turn!, 6000);
    turn!.askPermission('beyond');
    await until(() => expect(answer).toMatchObject({ outcome: { optionId: 'yes' } }));
    turn!.end();
    await until(async () => expect((await messages(session))[1]).toMatchObject({ state: 'done', stopReason: 'end_turn' }));
    expect(await shown()).toHaveLength(TURN_MAX.rows);
    expect(await told()).toHaveLength(1);

    const frames = await inOrg((tx) =>
      tx.agentFrame.count({ where: { sessionId: session.id, frame: { path: ['method'], equals: 'session/update' } } }),
    );
    expect(frames).toBeLessThan(TURN_MAX.rows + 100);
    const written = (await guest(session)).files.get(GUEST.agentStdout);
    expect((await read(session)).agentOffset).toBe(BigInt(written!.byteLength));
  });
});
