import type { HostdErrorBody, HostdErrorCode } from './contract/errors.ts';

const TAIL_BYTES_MAX = 4096;

export type HostdErrorOptions = {
  /** For operators: the cause and the next step. */
  message: string;
  /** Step of the verb that failed, such as `qemu.start` or `guest.ssh`. */
  phase?: string;
  /** Output of the failing program; only its last 4 KiB are kept. */
  tail?: string;
  cause?: unknown;
};

/** The one error class of hostd. The code decides what the control plane does next, the text is for people. */
export class HostdError extends Error {
  readonly code: HostdErrorCode;
  readonly phase: string | undefined;
  readonly tail: string | undefined;

  constructor(code: HostdErrorCode, { message, phase, tail, cause }: HostdErrorOptions) {
    super(message, { cause });
    this.name = 'HostdError';
    this.code = code;
    this.phase = phase;
    this.tail = tail?.slice(-TAIL_BYTES_MAX);
  }
}

/** What goes over the wire for any thrown value; unknown ones become `internal`. */
export function toErrorBody(error: unknown): HostdErrorBody {
  if (error instanceof HostdError) {
    return {
      code: error.code,
      message: error.message,
      ...(error.phase === undefined ? {} : { phase: error.phase }),
      ...(error.tail === undefined ? {} : { tail: error.tail }),
    };
  }
  return { code: 'internal', message: error instanceof Error ? error.message : String(error) };
}

/** The text of any thrown value. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
