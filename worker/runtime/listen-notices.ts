import pg from 'pg';
import type { Logger } from '../../server/logger.ts';
import { NOTIFY_CHANNEL, noticeSchema } from '../../server/realtime/contract.ts';
import type { SessionSignals } from './session-signals.ts';

const RECONNECT_MS = 1000;

/** Turns PostgreSQL's notices into session signals on one connection of its own, which is made anew whenever it breaks. */
export function listenNotices(url: string, signals: SessionSignals, log: Logger): { close: () => Promise<void> } {
  let client: pg.Client | null = null;
  let timer: NodeJS.Timeout | null = null;
  let closed = false;

  async function connect() {
    const current = new pg.Client({ connectionString: url, keepAlive: true });
    client = current;
    let lost = false;
    const again = (error?: Error) => {
      if (lost || closed) return;
      lost = true;
      log.warn({ event: 'notices.lost', err: error }, 'connection for notices lost');
      current.end().catch(() => {});
      timer = setTimeout(() => void connect(), RECONNECT_MS);
    };
    current.on('error', again);
    current.on('end', () => again());
    current.on('notification', ({ payload }) => {
      const notice = noticeSchema.safeParse(parse(payload ?? ''));
      if (notice.success && 'sessionId' in notice.data && notice.data.sessionId) signals.notify(notice.data.sessionId);
    });
    try {
      await current.connect();
      await current.query(`LISTEN ${NOTIFY_CHANNEL}`);
      signals.notifyAll();
    } catch (error) {
      again(error as Error);
    }
  }

  void connect();
  return {
    close: async () => {
      closed = true;
      if (timer) clearTimeout(timer);
      await client?.end().catch(() => {});
    },
  };
}

function parse(payload: string): unknown {
  try {
    return JSON.parse(payload);
  } catch {
    return null;
  }
}
