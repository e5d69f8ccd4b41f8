import { failingSample, TASK } from '../demo/installation.ts';
import { execInGuest, observe, type Sighting, sameAgent } from '../demo/observe.ts';
import { type Case, errorsIn, eventually, looksAt, type Place, type Row } from './case.ts';

const MARK = '/home/agent/trouble.txt';

/** The agent is at work in this session. */
export type Turn = Place & { sessionId: string; before: Sighting; rows: () => Promise<Row[]> };

type InTurn = Pick<Case, 'whyNot'> & {
  /** Does the harm, and undoes it where it does not undo itself. Returns what it did and what was seen, for people. */
  harm: (turn: Turn) => Promise<string>;
  /** `kept`: the turn goes on in the same machine and ends with a push. `said`: the person is told, and a message makes it work again. */
  outcome: 'kept' | 'said';
};

/** Harm in the middle of an agent's turn: what becomes of the turn, and of the next one. */
export function inTurn({ whyNot, harm, outcome }: InTurn): Case {
  return {
    whyNot,
    run: async (place) => {
      const { api, org, hostd } = place;
      const { sessionId } = await api.sessions.create.mutate({ org, repo: await failingSample(api, org), prompt: TASK });
      const { rows, untilState, untilMachine } = looksAt(place, sessionId);
      const awake = await untilMachine();
      await eventually('tool call', async () => (await rows()).some((row) => row.event.kind === 'tool_call'));
      const before = await observe(hostd, awake);
      // What only the machine's disk has.
      await execInGuest(hostd, awake, `echo ${sessionId} > ${MARK} && sync ${MARK}`);
      const rowsBefore = await rows();
      const done = await harm({ ...place, sessionId, before, rows });
      const harmedAt = performance.now();
      console.log(`  ${done} in the turn of ${sessionId}`);

      const rested = await untilState('suspended', 'failed');
      const restedMs = Math.round(performance.now() - harmedAt);
      const rowsAfter = await rows();
      const kept = rowsBefore.every((row) => rowsAfter.some((later) => later.seq === row.seq));
      const pushed = rowsAfter.filter((row) => row.event.kind === 'pushed').length;
      const said = errorsIn(rowsAfter, rowsBefore.at(-1)?.seq);
      await api.sessions.send.mutate({ org, sessionId, text: TASK });
      const again = await untilMachine();
      const after = await eventually('an agent in the machine', () => observe(hostd, again));
      const fileKept = (await execInGuest(hostd, again, `cat ${MARK} || true`)) === sessionId;
      const sameMachine = after.bootId === before.bootId && sameAgent(after, before);
      const next = await eventually('the end of a further turn', async () =>
        (await rows()).find((row) => row.seq > (rowsAfter.at(-1)?.seq ?? 0) && row.event.kind === 'turn_ended'),
      );
      const worksAgain = next.event.kind === 'turn_ended' && next.event.stopReason !== 'failed';
      await api.sessions.stop.mutate({ org, sessionId });
      return {
        ok: kept && fileKept && worksAgain && (outcome === 'kept' ? sameMachine && pushed > 0 : said.length > 0),
        did: done,
        restedAs: rested.state,
        reason: rested.stateReason,
        restedMs,
        kept,
        pushed,
        sameMachine,
        fileKept,
        worksAgain,
        said,
      };
    },
  };
}
