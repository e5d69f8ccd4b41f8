import pino from 'pino';

/** JSON lines; `event` is a stable name, data goes into fields. Bodies, headers and secrets are never fields. */
export type Logger = pino.Logger;

export function createLogger(options: { level?: string } = {}): Logger {
  return pino({ level: options.level ?? 'info', base: { service: 'hostd' }, timestamp: pino.stdTimeFunctions.isoTime });
}
