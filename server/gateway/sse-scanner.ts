import { z } from 'zod';
import { parseJson } from '../parse-json.ts';

/*
 * Watches a Responses API event stream go by for what we keep of it: how it ended and the tokens it cost. It changes
 * nothing. Events larger than the cap are passed on unread.
 */
const usageSchema = z.object({ input_tokens: z.number().int().nonnegative(), output_tokens: z.number().int().nonnegative() });
const responseSchema = z.object({
  usage: usageSchema.nullish(),
  error: z.object({ message: z.string().nullish(), code: z.string().nullish() }).nullish(),
});
const finalEventSchema = z.object({ type: z.string(), response: responseSchema.optional(), message: z.string().optional() });

export type Usage = { inputTokens: number; outputTokens: number };
export type StreamEnd = { kind: 'completed' } | { kind: 'failed'; message: string } | { kind: 'unfinished' };

const FINAL = /"type"\s*:\s*"(response\.completed|response\.failed|response\.incomplete|error)"/;
const EVENT_CHARS_MAX = 16 * 1024 * 1024;

export type SseScanner = { push: (bytes: Uint8Array) => void; usage: () => Usage; end: () => StreamEnd };

export function createSseScanner(): SseScanner {
  const decoder = new TextDecoder();
  let buffered = '';
  let usage: Usage = { inputTokens: 0, outputTokens: 0 };
  let end: StreamEnd = { kind: 'unfinished' };

  const readEvent = (block: string) => {
    if (!FINAL.test(block)) return;
    const data = block
      .split(/\r?\n/)
      .filter((line) => line.startsWith('data:'))
      .map((line) => line.slice(5).trimStart())
      .join('\n');
    const event = finalEventSchema.safeParse(parseJson(data));
    if (!event.success) return;
    usage = readUsage(event.data.response) ?? usage;
    if (event.data.type === 'response.failed' || event.data.type === 'error') {
      end = { kind: 'failed', message: event.data.response?.error?.message ?? event.data.message ?? 'no reason given' };
    } else if (event.data.type.startsWith('response.')) end = { kind: 'completed' };
  };

  return {
    push: (bytes) => {
      buffered += decoder.decode(bytes, { stream: true });
      for (;;) {
        const boundary = /\r?\n\r?\n/.exec(buffered);
        if (!boundary) break;
        readEvent(buffered.slice(0, boundary.index));
        buffered = buffered.slice(boundary.index + boundary[0].length);
      }
      if (buffered.length > EVENT_CHARS_MAX) buffered = '';
    },
    usage: () => usage,
    end: () => {
      // A last event without its empty line still counts.
      readEvent(buffered);
      buffered = '';
      return end;
    },
  };
}

/** Tokens of a whole response object, or null when it has no readable count. */
export function readUsage(response: unknown): Usage | null {
  const parsed = responseSchema.safeParse(response);
  if (!parsed.success || !parsed.data.usage) return null;
  return { inputTokens: parsed.data.usage.input_tokens, outputTokens: parsed.data.usage.output_tokens };
}
