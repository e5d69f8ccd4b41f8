import type { Logger } from '../../server/logger.ts';
import { listenForNotices } from '../../server/realtime/listen.ts';
import type { SessionSignals } from './session-signals.ts';

/** Turns the notices of all processes into session signals. Whoever waits reads again after every gap. */
export function followNotices(databaseUrl: string, signals: SessionSignals, logger: Logger): { close: () => Promise<void> } {
  return listenForNotices({
    databaseUrl,
    logger,
    onNotice: (notice) => {
      if ('sessionId' in notice && notice.sessionId) signals.notify(notice.sessionId);
    },
    onGap: () => signals.notifyAll(),
    // Something may have moved between the start of the process and the first connection.
    onListening: () => signals.notifyAll(),
  });
}
