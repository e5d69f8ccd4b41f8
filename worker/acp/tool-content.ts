import { z } from 'zod';

/** A tool's output in the timeline: its end, where errors are. The whole of it is in the raw frame, if that is not too long to keep. */
export const TOOL_OUTPUT_BYTES_MAX = 16 * 1024;
/** Either side of a diff beyond this is left out; the change's page shows it from git. */
const DIFF_CHARS_MAX = 100_000;
/** Of all diffs of one tool call, both sides. */
const DIFFS_CHARS_MAX = 400_000;
const DIFFS_MAX = 100;
const PATH_CHARS_MAX = 1_000;
const INPUT_CHARS_MAX = 2_000;

const block = z.looseObject({
  type: z.string(),
  text: z.string().optional(),
  uri: z.string().optional(),
  resource: z.looseObject({ text: z.string().optional(), uri: z.string().optional() }).optional(),
});
const entry = z.discriminatedUnion('type', [
  z.looseObject({ type: z.literal('content'), content: z.unknown().optional() }),
  z.looseObject({ type: z.literal('diff'), path: z.string(), oldText: z.string().nullish(), newText: z.string() }),
]);

/** One ACP content block as plain text; images and audio are named, not shown. */
export function toPlainText(value: unknown): string {
  const parsed = block.safeParse(value);
  if (!parsed.success) return '';
  const { type, text, uri, resource } = parsed.data;
  return text ?? resource?.text ?? uri ?? resource?.uri ?? `[${type}]`;
}

const shellInput = z.looseObject({ command: z.union([z.string(), z.array(z.string())]) });

/** Command or arguments as one line; null when there are none. */
export function toToolInput(rawInput: unknown): string | null {
  if (rawInput === null || rawInput === undefined) return null;
  const shell = shellInput.safeParse(rawInput);
  const line = shell.success
    ? commandLine(shell.data.command)
    : typeof rawInput === 'string'
      ? rawInput
      : JSON.stringify(rawInput);
  return shorten(line, INPUT_CHARS_MAX);
}

/** Agents wrap what they run as `bash -lc "…"`; people want the inner part. */
function commandLine(command: string | string[]): string {
  if (typeof command === 'string') return command;
  const [shell, flag, script] = command;
  return command.length === 3 && /(^|\/)(ba|z)?sh$/.test(shell ?? '') && flag?.startsWith('-')
    ? (script ?? '')
    : command.join(' ');
}

const rawText = z.union([
  z.string(),
  z.looseObject({ formatted_output: z.string() }).transform((raw) => raw.formatted_output),
  z.looseObject({ aggregated_output: z.string() }).transform((raw) => raw.aggregated_output),
  z.looseObject({ stdout: z.string() }).transform((raw) => raw.stdout + (typeof raw.stderr === 'string' ? raw.stderr : '')),
]);

/** The tool's output as its last TOOL_OUTPUT_BYTES_MAX bytes; null when this update says nothing of it. */
export function toolOutput(content: readonly unknown[] | null | undefined, rawOutput: unknown): string | null {
  const texts = (content ?? []).flatMap((value) => {
    const parsed = entry.safeParse(value);
    return parsed.success && parsed.data.type === 'content' ? [toPlainText(parsed.data.content)] : [];
  });
  const text = texts.length > 0 ? texts.join('\n') : rawText.safeParse(rawOutput).data;
  return text === undefined ? null : lastBytes(withoutFence(text), TOOL_OUTPUT_BYTES_MAX);
}

/** Some agents send terminal output as one Markdown code block. */
function withoutFence(text: string): string {
  return /^```\w*\n([\s\S]*?)\n?```\s*$/.exec(text)?.[1] ?? text;
}

/** Diffs of this update; null when it carries no content, so that earlier ones stay. */
export function toolDiffs(content: readonly unknown[] | null | undefined) {
  if (!content) return null;
  let chars = 0;
  const diffs = content.slice(0, DIFFS_MAX).flatMap((value) => {
    const parsed = entry.safeParse(value);
    if (!parsed.success || parsed.data.type !== 'diff') return [];
    const { oldText, newText } = parsed.data;
    const path = shorten(parsed.data.path, PATH_CHARS_MAX);
    chars += (oldText?.length ?? 0) + newText.length;
    const tooLong = (oldText?.length ?? 0) > DIFF_CHARS_MAX || newText.length > DIFF_CHARS_MAX || chars > DIFFS_CHARS_MAX;
    return [tooLong ? { path, oldText: null, newText: '(too long to show here)' } : { path, oldText: oldText ?? null, newText }];
  });
  return diffs.length > 0 ? diffs : null;
}

/** The start of a text, in whole characters as far as it goes. */
export function shorten(text: string, charsMax: number): string {
  return text.length <= charsMax ? text : text.slice(0, charsMax).toWellFormed();
}

/** The end of a text, cut at a character boundary. */
export function lastBytes(text: string, bytesMax: number): string {
  const bytes = Buffer.from(text);
  if (bytes.byteLength <= bytesMax) return text;
  return bytes
    .subarray(bytes.byteLength - bytesMax)
    .toString('utf8')
    .replace(/^\uFFFD+/, '');
}

const messageChunk = z.object({ update: z.object({ sessionUpdate: z.literal('agent_message_chunk'), content: z.unknown() }) });

/** The text of a `session/update` that carries a piece of the agent's message; null for any other. */
export function agentText(params: unknown): string | null {
  const parsed = messageChunk.safeParse(params);
  return parsed.success ? toPlainText(parsed.data.update.content) : null;
}
