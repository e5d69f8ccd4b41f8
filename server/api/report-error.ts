import { TRPCError } from '@trpc/server';
import { ZodError } from 'zod';
import { databaseTrouble } from '../database-trouble.ts';
import { AppError, ERROR_RULES, type ErrorCode } from '../errors.ts';
import { describeRefusal } from '../hosts/describe-refusal.ts';
import { isHostError } from '../hosts/host-error.ts';
import type { Logger } from '../logger.ts';

/** What a client learns about a failed call, beside tRPC's own code. */
export type ErrorReport = {
  message: string;
  data: { appCode: ErrorCode; retryable: boolean; requestId: string | null; details: Record<string, unknown> };
};

/** Our error inside tRPC's, if it is one of ours; whatever else is `internal`, and says nothing about itself. */
function asAppError(error: TRPCError): AppError {
  const { cause } = error;
  if (cause instanceof AppError) return cause;
  // What does not parse is the caller's only as input; anything else that does not, such as a stored row, is a fault of ours.
  if (cause instanceof ZodError && error.code === 'BAD_REQUEST') {
    return new AppError('bad_request', { publicMessage: readable(cause), details: { issues: cause.issues }, cause });
  }
  if (isHostError(cause)) {
    const { code, publicMessage } = describeRefusal(cause);
    return new AppError(code, { publicMessage, message: cause.message, cause });
  }
  const trouble = databaseTrouble(cause);
  if (trouble) return trouble;
  const code = (Object.keys(ERROR_RULES) as ErrorCode[]).find((key) => ERROR_RULES[key].trpc === error.code) ?? 'internal';
  // tRPC's own refusals (no such procedure, wrong method, malformed body) are written for the caller.
  if (code !== 'internal') return new AppError(code, { publicMessage: error.message, cause: error });
  return new AppError('internal', {
    publicMessage: 'Something went wrong on our side.',
    message: error.message,
    cause: cause ?? error,
  });
}

// Issues about the shape of a request, which only a program gets wrong, in zod's words. All others carry a sentence of ours.
const SHAPE_ISSUES = new Set(['invalid_type', 'invalid_value', 'invalid_union', 'unrecognized_keys']);

function readable(error: ZodError): string {
  const sentences = error.issues.map(({ code, path, message }) =>
    SHAPE_ISSUES.has(code) ? `${path.join('.')}: ${message}.` : message,
  );
  return sentences.join(' ');
}

/** Gives the error tRPC's matching code, and logs it as its code's rule says. */
export function toTrpcError(error: TRPCError, { log, path }: { log: Logger; path: string }): TRPCError {
  const known = asAppError(error);
  const rule = ERROR_RULES[known.code];
  // The stack only where someone has to look: expected refusals are one short line.
  const err = rule.logLevel === 'error' ? (known.cause ?? known) : undefined;
  log[rule.logLevel]({ event: 'api.error', path, code: known.code, reason: known.message, err }, 'call failed');
  return new TRPCError({ code: rule.trpc, message: known.publicMessage, cause: known });
}

/** The public part of an error, for tRPC's formatter. */
export function reportError(error: TRPCError, requestId: string | null): ErrorReport {
  const { code, publicMessage, details } = asAppError(error);
  const reference = code === 'internal' && requestId ? ` Tell your administrator this reference: ${requestId}.` : '';
  return {
    message: publicMessage + reference,
    data: { appCode: code, retryable: ERROR_RULES[code].retryable, requestId, details },
  };
}
