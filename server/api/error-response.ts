import { randomUUID } from 'node:crypto';
import { databaseTrouble } from '../database-trouble.ts';
import { AppError, ERROR_RULES } from '../errors.ts';
import type { Logger } from '../logger.ts';

/** The JSON answer of route handlers outside tRPC: `{error: {code, message, details}}` with the code's status. */
export function errorResponse(thrown: unknown, log: Logger): Response {
  const error = databaseTrouble(thrown) ?? thrown;
  if (error instanceof AppError) {
    const { http, logLevel } = ERROR_RULES[error.code];
    log[logLevel]({ event: 'http.error', code: error.code, reason: error.message }, 'request refused');
    return Response.json({ error: { code: error.code, message: error.publicMessage, details: error.details } }, { status: http });
  }
  const requestId = `req_${randomUUID().replaceAll('-', '')}`;
  log.error({ event: 'http.error', code: 'internal', requestId, err: error }, 'request failed');
  const message = `Something went wrong on our side. Tell your administrator this reference: ${requestId}.`;
  return Response.json({ error: { code: 'internal', message, details: {} } }, { status: 500 });
}
