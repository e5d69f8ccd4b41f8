import { z } from 'zod';
import { parseJson } from '../parse-json.ts';

/** An error in OpenAI's shape, which every Responses API client can read. */
export type ModelError = {
  status: number;
  /** For the agent and the person looking. */
  message: string;
  type: 'invalid_request_error' | 'permission_error' | 'rate_limit_error' | 'server_error';
  code: string;
  retryAfter?: string;
};

export function errorBody({ message, type, code }: ModelError): {
  error: { message: string; type: string; code: string; param: null };
} {
  return { error: { message, type, code, param: null } };
}

const MESSAGE_CHARS_MAX = 600;

/** What a provider's refusal means, said plainly. Its own words are kept except where they may hold the key. */
export function fromProviderStatus(status: number, body: string, retryAfter: string | null): ModelError {
  const said = providerMessage(body);
  const quote = said ? `: ${said}` : '.';
  if (status === 401 || status === 403) {
    return {
      // Not 401: an agent would try to sign in.
      status: 403,
      type: 'permission_error',
      code: 'provider_credentials',
      message: `The model endpoint refused Warren’s credentials (${status}). Whoever runs this installation has to check OPENAI_API_KEY.`,
    };
  }
  if (status === 429) {
    return {
      status: 429,
      type: 'rate_limit_error',
      code: 'rate_limit_exceeded',
      message: `The model endpoint is limiting requests or its quota is used up (429)${quote}`,
      ...(retryAfter && /^[\w ,:]{1,40}$/.test(retryAfter) ? { retryAfter } : {}),
    };
  }
  if (status >= 400 && status < 500) {
    return {
      status,
      type: 'invalid_request_error',
      code: 'provider_refused',
      message: `The model endpoint refused the request (${status})${quote}`,
    };
  }
  return { status: 502, type: 'server_error', code: 'provider_failed', message: `The model endpoint failed (${status})${quote}` };
}

export function unreachable(detail: string): ModelError {
  return {
    status: 502,
    type: 'server_error',
    code: 'provider_unreachable',
    message: `The model endpoint could not be reached: ${detail}`,
  };
}

export function timeoutError(seconds: number): ModelError {
  return {
    status: 504,
    type: 'server_error',
    code: 'provider_timeout',
    message: `The model endpoint sent nothing for ${seconds} s.`,
  };
}

export function garbled(detail: string): ModelError {
  return {
    status: 502,
    type: 'server_error',
    code: 'provider_garbled',
    message: `The model endpoint’s reply cannot be read: ${detail}`,
  };
}

const saidSchema = z.union([
  z.object({ error: z.object({ message: z.string() }) }).transform(({ error }) => error.message),
  z.object({ error: z.string() }).transform(({ error }) => error),
  z.object({ message: z.string() }).transform(({ message }) => message),
]);

/** The provider's own words, in the shapes that are about; empty when there are none. */
function providerMessage(body: string): string {
  return saidSchema.safeParse(parseJson(body)).data?.slice(0, MESSAGE_CHARS_MAX) ?? '';
}
