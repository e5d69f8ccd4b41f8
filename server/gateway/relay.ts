import type { ServerResponse } from 'node:http';
import { sendJson } from '../internal/respond.ts';
import { parseJson } from '../parse-json.ts';
import { errorBody, fromProviderStatus, garbled, type ModelError, timeoutError, unreachable } from './model-error.ts';
import type { ModelProvider } from './provider.ts';
import { createSseScanner, readUsage, type Usage } from './sse-scanner.ts';

/*
 * Passes one Responses API call to the provider and its answer back, streaming. The key is added here. Whatever the
 * provider does (429, 500, an HTML page, silence, a stream that breaks off), the agent gets an error it can read.
 */
export type RelayDeps = { fetch: typeof fetch; idleMsMax: number };
export type RelayResult = { status: number; usage: Usage; error: ModelError | null };

const NO_USAGE: Usage = { inputTokens: 0, outputTokens: 0 };
const ERROR_BODY_BYTES_MAX = 64 * 1024;
const JSON_BODY_BYTES_MAX = 32 * 1024 * 1024;

type OpenAiProvider = Extract<ModelProvider, { kind: 'openai' }>;

export async function relayResponse(
  deps: RelayDeps,
  provider: OpenAiProvider,
  body: Buffer,
  { stream }: { stream: boolean },
  res: ServerResponse,
): Promise<RelayResult> {
  const silence = silenceTimer(deps.idleMsMax);
  // The agent hung up: stop paying for the rest.
  res.once('close', silence.abort);
  try {
    const answer = await deps.fetch(`${provider.baseUrl}/responses`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: stream ? 'text/event-stream' : 'application/json',
        ...(provider.apiKey ? { authorization: `Bearer ${provider.apiKey}` } : {}),
      },
      body: new Uint8Array(body),
      signal: silence.signal,
    });
    silence.heard();
    if (!answer.ok) {
      const text = await readText(answer, ERROR_BODY_BYTES_MAX, silence.heard);
      return refuse(res, fromProviderStatus(answer.status, text ?? '', answer.headers.get('retry-after')));
    }
    return stream ? await relayStream(answer, res, silence) : await relayJson(answer, res, silence.heard);
  } catch (error) {
    return interrupt(res, silence.timeout() ?? unreachable(causeOf(error)), NO_USAGE);
  } finally {
    silence.stop();
    res.off('close', silence.abort);
  }
}

async function relayStream(answer: Response, res: ServerResponse, silence: Silence): Promise<RelayResult> {
  const type = answer.headers.get('content-type') ?? 'no content type';
  if (!answer.body || !type.startsWith('text/event-stream')) {
    await answer.body?.cancel();
    return refuse(res, garbled(`a stream of events was asked for, ${type} came.`));
  }
  const scanner = createSseScanner();
  res.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
  try {
    for await (const chunk of answer.body as AsyncIterable<Uint8Array>) {
      silence.heard();
      scanner.push(chunk);
      if (!res.write(chunk)) await drained(res);
    }
  } catch (error) {
    // It broke after it had begun: what was said stays said, the end is ours.
    const broken = unreachable(`it broke off in the middle of a reply (${causeOf(error)})`);
    return interrupt(res, silence.timeout() ?? broken, scanner.usage());
  }
  const end = scanner.end();
  if (end.kind === 'unfinished') return interrupt(res, garbled('it ended before it was complete.'), scanner.usage());
  res.end();
  if (end.kind === 'completed') return { status: 200, usage: scanner.usage(), error: null };
  const error = { ...fromProviderStatus(500, '', null), message: `The model endpoint gave up on the reply: ${end.message}` };
  return { status: error.status, usage: scanner.usage(), error };
}

async function relayJson(answer: Response, res: ServerResponse, heard: () => void): Promise<RelayResult> {
  const text = await readText(answer, JSON_BODY_BYTES_MAX, heard);
  const parsed = text === null ? undefined : parseJson(text);
  if (typeof parsed !== 'object' || parsed === null)
    return refuse(res, garbled(text === null ? 'it is too large.' : 'it is not JSON.'));
  sendJson(res, 200, parsed);
  return { status: 200, usage: readUsage(parsed) ?? NO_USAGE, error: null };
}

function refuse(res: ServerResponse, error: ModelError): RelayResult {
  sendJson(res, error.status, errorBody(error), error.retryAfter ? { 'retry-after': error.retryAfter } : {});
  return { status: error.status, usage: NO_USAGE, error };
}

/** Ends an answer that may have begun: as a plain error, or as the failure event of the stream. */
function interrupt(res: ServerResponse, error: ModelError, usage: Usage): RelayResult {
  if (!res.headersSent) return refuse(res, error);
  const event = { type: 'response.failed', response: { status: 'failed', error: { code: error.code, message: error.message } } };
  res.end(`\n\nevent: response.failed\ndata: ${JSON.stringify(event)}\n\n`);
  return { status: error.status, usage, error };
}

function drained(res: ServerResponse): Promise<void> {
  if (res.destroyed) return Promise.reject(new Error('the agent hung up'));
  return new Promise((resolve) => {
    const done = () => {
      res.off('drain', done);
      res.off('close', done);
      resolve();
    };
    res.once('drain', done);
    res.once('close', done);
  });
}

async function readText(answer: Response, bytesMax: number, heard: () => void): Promise<string | null> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of (answer.body ?? []) as AsyncIterable<Uint8Array>) {
    heard();
    bytes += chunk.length;
    if (bytes > bytesMax) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function causeOf(error: unknown): string {
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  const code = (cause as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : cause instanceof Error ? cause.message : String(cause);
}

type Silence = ReturnType<typeof silenceTimer>;

/** Aborts when nothing was heard for a while, or when told to. */
function silenceTimer(idleMs: number) {
  const controller = new AbortController();
  let timedOut = false;
  const expire = () => {
    timedOut = true;
    controller.abort();
  };
  let timer = setTimeout(expire, idleMs);
  return {
    signal: controller.signal,
    /** The error it is, when it was silence that ended the call. */
    timeout: () => (timedOut ? timeoutError(idleMs / 1000) : null),
    heard: () => {
      clearTimeout(timer);
      timer = setTimeout(expire, idleMs);
    },
    abort: () => controller.abort(),
    stop: () => clearTimeout(timer),
  };
}
