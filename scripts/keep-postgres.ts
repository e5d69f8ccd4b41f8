import { type Postgres, type PostgresOptions, startPostgres } from './postgres.ts';

/*
 * PostgreSQL is no child of the supervisor (pg_ctl starts it, so that it survives its starter). When its first process is
 * killed, nobody else would start it again.
 */
const LOOK_MS = 1000;
const RETRY_MS = 2000;
/** A full disk stays full for a while; its starter is told now and then, not at every try. */
const TELL_AGAIN_MS = 60_000;

export type KeptPostgres = Postgres & { onTrouble: (tell: (what: string) => void) => void };

/** Starts PostgreSQL as `startPostgres` does, and again whenever it is gone, until it is stopped. */
export async function keepPostgres(options: PostgresOptions): Promise<KeptPostgres> {
  const postgres = await startPostgres(options);
  let tell = (_what: string) => {};
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  let looking: Promise<void> = Promise.resolve();
  let toldAt = Number.NEGATIVE_INFINITY;

  const look = async (): Promise<number> => {
    if (await postgres.isRunning()) return LOOK_MS;
    try {
      // Its own children outlive it for a moment and keep the next one from starting; then this is tried again.
      await startPostgres(options);
      tell('PostgreSQL had ended; it runs again and has recovered from its log');
      toldAt = Number.NEGATIVE_INFINITY;
      return LOOK_MS;
    } catch (cause) {
      if (performance.now() - toldAt > TELL_AGAIN_MS) {
        toldAt = performance.now();
        tell(`${cause instanceof Error ? cause.message : cause}\n    It is tried again until it starts.`);
      }
      return RETRY_MS;
    }
  };
  const schedule = (ms: number) => {
    timer = setTimeout(() => {
      looking = look().then((next) => {
        if (!stopped) schedule(next);
      });
    }, ms);
  };
  schedule(LOOK_MS);

  return {
    ...postgres,
    onTrouble: (listener) => {
      tell = listener;
    },
    stop: async () => {
      stopped = true;
      clearTimeout(timer);
      await looking;
      await postgres.stop();
    },
  };
}
