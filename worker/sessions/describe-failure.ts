import { HostError, type HostErrorCode } from '../../server/hosts/host-error.ts';
import type { TimelineEvent } from '../../server/sessions/timeline.ts';
import { GuestCommandError } from '../guest/run-script.ts';
import { StepError } from './driver.ts';

export type ErrorEvent = Extract<TimelineEvent, { kind: 'error' }>;

/** What people do about a host's refusal. */
const NEXT_STEP: Record<HostErrorCode, string> = {
  bad_request: 'This is a fault in Warren: report it with the message above.',
  unauthorized: 'The operator has to give worker and host the same HOSTD_TOKEN.',
  not_found: 'Retry the session. If it stays, the host has lost the machine or snapshot named above.',
  conflict: 'Retry the session.',
  stale_lease: 'Nothing to do: a newer worker has taken over.',
  incompatible: 'Retry: the machine is then started from its disk. Files are kept, running processes are not.',
  no_capacity: 'Stop another session or wait for one to fall asleep, then retry.',
  missing_dependency: 'The operator has to install what is missing (npm run doctor lists it), then retry.',
  disk_full: 'The operator has to free space in the data directory, then retry.',
  guest_unreachable: 'Retry. If it stays, the machine is overloaded or its kernel has stopped; its console tells more.',
  timeout: 'Retry. If it stays, the host is overloaded.',
  too_large: 'Make the file or output smaller.',
  store_failed: 'The operator has to see why the object store does not answer, then retry.',
  internal: 'Retry. If it stays, the host’s log has the details.',
  unreachable: 'The operator has to see why the host does not answer (is hostd running?), then retry.',
  weak_isolation:
    'The operator has to give the host what npm run doctor lists, or, where all organizations trust each other, set WARREN_ALLOW_WEAK_ISOLATION=true for web and worker.',
  invalid_reply: 'The operator has to run the same version of Warren on all computers.',
};

/** An error as the person sees it who looks at the session: what was being done, what happened, what to do. */
export function describeFailure(title: string, error: unknown): ErrorEvent {
  if (error instanceof StepError) return { kind: 'error', title: error.title, detail: error.message, nextStep: error.nextStep };
  if (error instanceof HostError) {
    const where = error.phase ? `${error.message} (while: ${error.phase})` : error.message;
    return { kind: 'error', title, detail: withTail(where, error.tail), nextStep: NEXT_STEP[error.code] };
  }
  if (error instanceof GuestCommandError) {
    return {
      kind: 'error',
      title,
      detail: withTail(error.message, error.tail),
      nextStep: 'Look at the output above, then retry.',
    };
  }
  return {
    kind: 'error',
    title,
    detail: 'An unexpected error; the worker’s log has the details.',
    nextStep: 'Retry the session.',
  };
}

/**
 * May the same step work if it is tried again? A host says so itself, a refused step or a failed command says no, and what
 * nobody foresaw (the database being away, say) gets the benefit of the doubt.
 */
export function isRetryable(error: unknown): boolean {
  if (error instanceof HostError) return error.retryable;
  return !(error instanceof StepError || error instanceof GuestCommandError);
}

/** Refusals that stay the same however often the same is asked for. */
const LASTING: ReadonlySet<HostErrorCode> = new Set(['bad_request', 'not_found', 'incompatible', 'too_large']);

/** Can no later try of the same step succeed, until a person has done something about it? */
export function isLasting(error: unknown): boolean {
  return error instanceof HostError ? LASTING.has(error.code) : error instanceof StepError;
}

function withTail(text: string, tail: string | null): string {
  return tail ? `${text}\n\n${tail.slice(-4000).toWellFormed()}` : text;
}
