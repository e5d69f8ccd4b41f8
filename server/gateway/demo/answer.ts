import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { sendJson } from '../../internal/respond.ts';
import { DEMO_MODEL } from '../provider.ts';
import type { RelayResult } from '../relay.ts';
import { type DemoReply, decideReply } from './decide.ts';

type OutputItem = { id: string; type: string; [field: string]: unknown };

/** Answers a Responses API request from the script, streamed when asked for. Tokens are estimated at four characters each. */
export function answerAsDemo(request: { stream?: boolean | null }, res: ServerResponse): Promise<RelayResult> {
  const reply = decideReply(request);
  const usage = { inputTokens: estimateTokens(JSON.stringify(request)), outputTokens: estimateTokens(JSON.stringify(reply)) };
  const response = completedResponse(reply, usage);
  if (request.stream !== true) sendJson(res, 200, response);
  else {
    res.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
    let sequence = 0;
    for (const event of streamEvents(response)) {
      res.write(`event: ${event.type}\ndata: ${JSON.stringify({ ...event, sequence_number: sequence++ })}\n\n`);
    }
    res.end();
  }
  return Promise.resolve({ status: 200, usage, error: null });
}

function completedResponse(reply: DemoReply, usage: { inputTokens: number; outputTokens: number }) {
  return {
    id: newId('resp'),
    object: 'response',
    created_at: Math.floor(Date.now() / 1000),
    status: 'completed',
    model: DEMO_MODEL,
    error: null,
    output: outputItems(reply),
    usage: {
      input_tokens: usage.inputTokens,
      input_tokens_details: { cached_tokens: 0 },
      output_tokens: usage.outputTokens,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: usage.inputTokens + usage.outputTokens,
    },
  };
}

function outputItems({ text, call }: DemoReply): OutputItem[] {
  const items: OutputItem[] = [];
  if (text !== null) {
    const content = [{ type: 'output_text', text, annotations: [] }];
    items.push({ id: newId('msg'), type: 'message', role: 'assistant', status: 'completed', content });
  }
  if (call) items.push({ id: newId('fc'), status: 'completed', call_id: newId('call'), ...call });
  return items;
}

type StreamEvent = { type: string; [field: string]: unknown };

function* streamEvents(response: ReturnType<typeof completedResponse>): Generator<StreamEvent> {
  const started = { ...response, status: 'in_progress', output: [], usage: null };
  yield { type: 'response.created', response: started };
  yield { type: 'response.in_progress', response: started };
  for (const [output_index, item] of response.output.entries()) {
    const place = { item_id: item.id, output_index };
    yield { type: 'response.output_item.added', output_index, item: emptied(item) };
    if (item.type === 'message') yield* textEvents(item, { ...place, content_index: 0 });
    else if (item.type === 'function_call') {
      yield { type: 'response.function_call_arguments.delta', ...place, delta: item.arguments };
      yield { type: 'response.function_call_arguments.done', ...place, arguments: item.arguments };
    }
    yield { type: 'response.output_item.done', output_index, item };
  }
  yield { type: 'response.completed', response };
}

function* textEvents(item: OutputItem, place: Record<string, unknown>): Generator<StreamEvent> {
  const part = (item.content as { text: string }[])[0]!;
  yield { type: 'response.content_part.added', ...place, part: { ...part, text: '' } };
  for (const delta of part.text.match(/\S+\s*|\s+/g) ?? []) yield { type: 'response.output_text.delta', ...place, delta };
  yield { type: 'response.output_text.done', ...place, text: part.text };
  yield { type: 'response.content_part.done', ...place, part };
}

/** The item as it looks before its content has come. */
function emptied(item: OutputItem): OutputItem {
  if (item.type === 'message') return { ...item, status: 'in_progress', content: [] };
  return item.type === 'function_call' ? { ...item, status: 'in_progress', arguments: '' } : item;
}

function estimateTokens(text: string): number {
  return Math.ceil(text.length / 4);
}

function newId(prefix: string): string {
  return `${prefix}_${randomUUID().replaceAll('-', '')}`;
}
