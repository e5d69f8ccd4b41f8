import pino from 'pino';

/**
 * JSON lines: `event` is stable (`session.transition`), data goes into fields. Children carry orgId, sessionId, machineId,
 * requestId. Secrets and prompts are never fields; the redaction below is the net under that rule, not the rule.
 */
export type Logger = pino.Logger;

export function createLogger(options: { service: string; level?: string }): Logger {
  return pino({
    level: options.level ?? 'info',
    base: { service: options.service },
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: ['*.authorization', '*.cookie', '*.password', '*.token', 'authorization', 'cookie', 'password', 'token'],
  });
}
