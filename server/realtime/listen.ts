import pg from 'pg';
import type { Logger } from '../logger.ts';
import { NOTIFY_CHANNEL, type Notice, noticeSchema } from './contract.ts';

export type ListenOptions = {
  /** A session of its own: LISTEN does not survive a transaction pooler. */
  databaseUrl: string;
  logger: Logger;
  onNotice: (notice: Notice) => void;
  /** Notices may have been missed while the connection was down: whoever relies on them must read again. */
  onGap: () => void;
  /** From now on none is missed. Called once for every connection. */
  onListening?: () => void;
};

const RETRY_MS_MIN = 250;
const RETRY_MS_MAX = 10_000;
// A connection that died without a word (half-open) is found by asking.
const PROBE_MS = 15_000;

/** Follows the notices of all processes until closed; reconnects by itself, first quickly, then slower. */
export function listenForNotices({ databaseUrl, logger, onNotice, onGap, onListening }: ListenOptions): {
  close: () => Promise<void>;
} {
  let client: pg.Client | null = null;
  let timer: NodeJS.Timeout | undefined;
  let retryMs = RETRY_MS_MIN;
  let closed = false;
  let connectedBefore = false;

  async function connect(): Promise<void> {
    const opened = new pg.Client({
      connectionString: databaseUrl,
      connectionTimeoutMillis: 10_000,
      query_timeout: 10_000,
      keepAlive: true,
    });
    client = opened;
    opened.on('error', (err) => lose(opened, err));
    opened.on('end', () => lose(opened, new Error('connection ended')));
    opened.on('notification', ({ payload }) => {
      const notice = parseNotice(payload);
      if (notice) onNotice(notice);
    });
    await opened.connect();
    await opened.query(`listen ${NOTIFY_CHANNEL}`);
    retryMs = RETRY_MS_MIN;
    if (connectedBefore) onGap();
    connectedBefore = true;
    onListening?.();
    timer = setInterval(() => opened.query('select 1').catch((err) => lose(opened, err)), PROBE_MS);
  }

  function start(): void {
    const attempt = connect();
    attempt.catch((err) => client && lose(client, err));
  }

  function lose(lost: pg.Client, err: unknown): void {
    if (closed || lost !== client) return;
    client = null;
    clearInterval(timer);
    logger.warn({ event: 'realtime.listen_lost', err, retryMs }, 'lost the notice connection');
    lost.end().catch(() => {});
    timer = setTimeout(start, retryMs);
    retryMs = Math.min(retryMs * 2, RETRY_MS_MAX);
  }

  start();
  return {
    close: async () => {
      closed = true;
      clearTimeout(timer);
      await client?.end().catch(() => {});
    },
  };
}

function parseNotice(payload: string | undefined): Notice | null {
  try {
    return noticeSchema.parse(JSON.parse(payload ?? ''));
  } catch {
    // A newer version may send kinds this one does not know.
    return null;
  }
}
