import type { HostdErrorBody, HostdErrorCode } from '../../hostd/contract/errors.ts';

/**
 * Beside hostd's own codes there are three that only its caller can see:
 * - `unreachable`   no answer: connection refused, reset, or the deadline passed
 * - `weak_isolation` the host does not keep machines apart as organizations that share it need; nothing was asked of it
 * - `invalid_reply` an answer that is not the contract's (another version, a proxy in between)
 */
export type HostErrorCode = HostdErrorCode | 'unreachable' | 'weak_isolation' | 'invalid_reply';

/** Codes after which the same request may succeed unchanged: every verb is safe to repeat. */
const RETRYABLE: ReadonlySet<HostErrorCode> = new Set(['unreachable', 'guest_unreachable', 'timeout', 'internal']);

export class HostError extends Error {
  override readonly name = 'HostError';
  readonly code: HostErrorCode;
  readonly phase: string | null;
  /** Last lines of the failing program's output. */
  readonly tail: string | null;

  constructor(body: { code: HostErrorCode } & Omit<HostdErrorBody, 'code'>, options?: ErrorOptions) {
    super(body.message, options);
    this.code = body.code;
    this.phase = body.phase ?? null;
    this.tail = body.tail ?? null;
  }

  get retryable(): boolean {
    return RETRYABLE.has(this.code);
  }
}

export function isHostError(error: unknown, ...codes: HostErrorCode[]): error is HostError {
  return error instanceof HostError && (codes.length === 0 || codes.includes(error.code));
}
