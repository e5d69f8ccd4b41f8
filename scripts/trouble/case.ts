import type { Api } from '../demo/client.ts';
import { until } from '../demo/until.ts';
import type { Settings } from '../settings.ts';

/** The running installation that is harmed, and a person signed in to it. */
export type Place = { settings: Settings; hostd: { url: string; token: string }; api: Api; org: string };

/** What was seen; `ok` when it was as it must be. */
export type Seen = { ok: boolean; [what: string]: unknown };

export type Case = {
  /** Why this installation cannot be harmed so; null when it can. */
  whyNot?: (place: Place) => Promise<string | null>;
  run: (place: Place) => Promise<Seen>;
};

const PATIENCE = { everyMs: 500, deadlineMs: 8 * 60_000, forgiving: true };

/** Parts are down on purpose: a look that fails is only a look that found nothing. */
export const eventually = <T>(what: string, look: () => Promise<T | null | undefined | false>) => until(what, look, PATIENCE);

export type View = Awaited<ReturnType<Api['sessions']['get']['query']>>;
export type Row = Awaited<ReturnType<Api['sessions']['events']['query']>>['rows'][number];

/** One session, as its page reads it. */
export function looksAt({ api, org }: Place, sessionId: string) {
  const view = (): Promise<View> => api.sessions.get.query({ org, sessionId });
  const rows = async (): Promise<Row[]> => (await api.sessions.events.query({ org, sessionId, afterRev: 0 })).rows;
  return {
    view,
    rows,
    untilState: (...states: View['session']['state'][]) =>
      eventually(`the session to be ${states.join(' or ')}`, async () => {
        const { session } = await view();
        return states.includes(session.state) && session;
      }),
    untilMachine: () =>
      eventually('a running machine', async () => {
        const { session } = await view();
        return session.state === 'running' && session.machineId;
      }),
  };
}

/** Red entries of the timeline as people read them, after the row `afterSeq`. */
export function errorsIn(rows: Row[], afterSeq = 0): string[] {
  return rows.flatMap(({ seq, event }) =>
    seq > afterSeq && event.kind === 'error' ? [`${event.title}: ${event.detail} Next: ${event.nextStep ?? 'nothing'}`] : [],
  );
}
