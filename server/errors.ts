import type { TRPCError } from '@trpc/server';

type Rule = {
  trpc: TRPCError['code'];
  http: number;
  /** The same request may succeed later without being changed. */
  retryable: boolean;
  logLevel: 'debug' | 'info' | 'warn' | 'error';
};

/**
 * Every way a request to the control plane can fail. Explained for people in docs/errors.md; a test keeps the two equal.
 */
export const ERROR_RULES = {
  bad_request: { trpc: 'BAD_REQUEST', http: 400, retryable: false, logLevel: 'debug' },
  unauthorized: { trpc: 'UNAUTHORIZED', http: 401, retryable: false, logLevel: 'info' },
  forbidden: { trpc: 'FORBIDDEN', http: 403, retryable: false, logLevel: 'warn' },
  /** An organization's rules say no. */
  policy_denied: { trpc: 'FORBIDDEN', http: 403, retryable: false, logLevel: 'info' },
  /** Also the answer to everyone who is not a member: whether it exists is not theirs to know. */
  not_found: { trpc: 'NOT_FOUND', http: 404, retryable: false, logLevel: 'debug' },
  conflict: { trpc: 'CONFLICT', http: 409, retryable: false, logLevel: 'info' },
  /** The session cannot do that in its present state; details carry `from` and `to`. */
  invalid_transition: { trpc: 'CONFLICT', http: 409, retryable: false, logLevel: 'info' },
  /** The session has no live machine now; waking it helps. */
  asleep: { trpc: 'PRECONDITION_FAILED', http: 412, retryable: true, logLevel: 'debug' },
  too_large: { trpc: 'PAYLOAD_TOO_LARGE', http: 413, retryable: false, logLevel: 'debug' },
  rate_limited: { trpc: 'TOO_MANY_REQUESTS', http: 429, retryable: true, logLevel: 'info' },
  internal: { trpc: 'INTERNAL_SERVER_ERROR', http: 500, retryable: false, logLevel: 'error' },
  /** A machine host, a model endpoint or the database did not answer. */
  unavailable: { trpc: 'SERVICE_UNAVAILABLE', http: 503, retryable: true, logLevel: 'error' },
} as const satisfies Record<string, Rule>;

export type ErrorCode = keyof typeof ERROR_RULES;

export type AppErrorOptions = {
  /** For the person looking: what happened and what to do. Never holds secrets, paths or another tenant's data. */
  publicMessage: string;
  /** For operators; the public message when absent. */
  message?: string;
  details?: Record<string, unknown>;
  cause?: unknown;
};

/** The one error class of the control plane. Expected outcomes are returned unions; this is for what ends a request. */
export class AppError extends Error {
  readonly code: ErrorCode;
  readonly publicMessage: string;
  readonly details: Record<string, unknown>;

  constructor(code: ErrorCode, { publicMessage, message, details, cause }: AppErrorOptions) {
    super(message ?? publicMessage, { cause });
    this.name = 'AppError';
    this.code = code;
    this.publicMessage = publicMessage;
    this.details = details ?? {};
  }
}

export function notFound(what: string): AppError {
  return new AppError('not_found', { publicMessage: `This ${what} does not exist, or you have no access to it.` });
}

export function assertNever(value: never): never {
  throw new Error(`unexpected value: ${JSON.stringify(value)}`);
}
