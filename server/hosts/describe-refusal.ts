import type { ErrorCode } from '../errors.ts';
import type { HostError, HostErrorCode } from './host-error.ts';

const OURS = 'Something went wrong between Warren and the machine’s host.';

/** What a person is told who asked for something of a machine: why it did not happen, and what to do. */
const TOLD: Record<HostErrorCode, { code: ErrorCode; text: string }> = {
  bad_request: { code: 'internal', text: OURS },
  unauthorized: {
    code: 'unavailable',
    text: 'The machine’s host refused Warren. The operator has to give web and host the same HOSTD_TOKEN.',
  },
  not_found: { code: 'not_found', text: 'The machine has no such thing any more. Reload and try again.' },
  conflict: {
    code: 'conflict',
    text: 'The machine could not do that. If its disk is full, free space in it; otherwise look at it in a terminal. Then try again.',
  },
  stale_lease: { code: 'conflict', text: 'The machine was moved or woken again meanwhile. Reload and try again.' },
  incompatible: { code: 'unavailable', text: 'The machine’s host cannot load what was stored. Retry the session.' },
  no_capacity: { code: 'unavailable', text: 'No host has room for the machine. Stop another session, then try again.' },
  missing_dependency: {
    code: 'unavailable',
    text: 'The machine’s host lacks something it needs. The operator has to install what npm run doctor lists.',
  },
  disk_full: {
    code: 'unavailable',
    text: 'The host’s disk is full, so nothing was changed. The operator has to free space in its data directory; then try again.',
  },
  guest_unreachable: {
    code: 'unavailable',
    text: 'The machine did not answer: it may be overloaded. Try again; if it stays so, let it sleep and wake it.',
  },
  timeout: { code: 'unavailable', text: 'The machine took too long: it or its host may be overloaded. Try again in a moment.' },
  too_large: { code: 'too_large', text: 'That is larger than a machine’s host passes on. Make it smaller.' },
  store_failed: {
    code: 'unavailable',
    text: 'The object store did not answer. The operator has to see why; then try again.',
  },
  internal: { code: 'unavailable', text: 'The machine’s host failed; its log has the details. Try again in a moment.' },
  unreachable: {
    code: 'unavailable',
    text: 'The machine’s host does not answer. Try again in a moment; if it stays so, the operator has to see whether hostd runs.',
  },
  weak_isolation: {
    code: 'unavailable',
    text: 'The machine’s host does not keep organizations apart. The operator has to give it what npm run doctor lists.',
  },
  invalid_reply: {
    code: 'unavailable',
    text: 'The machine’s host speaks another version. The operator has to run the same version of Warren on all computers.',
  },
};

const WORDS_CHARS_MAX = 300;

/** A host's refusal for the person who asked. The message is for operators; a machine's last words are its people's own. */
export function describeRefusal({ code, tail }: HostError): { code: ErrorCode; publicMessage: string } {
  const told = TOLD[code];
  const words = code === 'conflict' && tail?.trim().split('\n').at(-1)?.slice(0, WORDS_CHARS_MAX);
  return { code: told.code, publicMessage: words ? `${told.text} It said: ${words}` : told.text };
}
