import { z } from 'zod';
import { parseJson } from '../../parse-json.ts';
import type { CommandResult, ExecutedCommand } from './script.ts';

/*
 * Reads a Responses API request as an agent sends it: the last thing a person said, and the commands run since, with
 * what they printed. Several tools and output formats of Codex are understood; anything else is left out.
 */
const textPart = z.object({ text: z.string() });
const itemSchema = z.object({
  type: z.string().optional(),
  role: z.string().optional(),
  content: z.union([z.string(), z.array(z.unknown())]).nullish(),
  name: z.string().optional(),
  arguments: z.string().optional(),
  call_id: z.string().nullish(),
  output: z.unknown().optional(),
  action: z.object({ command: z.array(z.string()) }).optional(),
});
const requestSchema = z.looseObject({
  input: z.union([z.string(), z.array(z.unknown())]),
  tools: z.array(z.looseObject({ type: z.string(), name: z.string().optional() })).catch([]),
});
type Item = z.infer<typeof itemSchema>;

export type Conversation = {
  prompt: string;
  executed: ExecutedCommand[];
  /** A command that has not ended yet: its session number with the agent, and how often it was waited for. */
  running: { session: number; waits: number } | null;
  tools: { type: string; name?: string }[];
};

export function readConversation(request: unknown): Conversation | null {
  const parsed = requestSchema.safeParse(request);
  if (!parsed.success) return null;
  const { input, tools } = parsed.data;
  if (typeof input === 'string') return { prompt: input, executed: [], running: null, tools };
  const items = input.map((item) => itemSchema.safeParse(item)).flatMap((item) => (item.success ? [item.data] : []));
  const at = items.findLastIndex((item) => item.role === 'user' && textOf(item.content) !== '');
  if (at === -1) return null;
  return { prompt: textOf(items[at]!.content), ...readCommands(items.slice(at + 1)), tools };
}

/** Agents add context of their own in the user's name. */
function isAgentContext(text: string): boolean {
  return /^(<\w|# AGENTS\.md instructions)/.test(text);
}

function readCommands(items: Item[]): Pick<Conversation, 'executed' | 'running'> {
  const executed: ExecutedCommand[] = [];
  let session: number | null = null;
  let waits = 0;
  for (const item of items) {
    if (item.type === 'function_call' || item.type === 'local_shell_call') {
      const command = commandOf(item);
      if (command !== null) executed.push({ command, result: { exitCode: null, output: '' } });
    } else if (item.type === 'function_call_output' || item.type === 'local_shell_call_output') {
      const last = executed.at(-1);
      if (!last) continue;
      const read = readOutput(outputText(item.output));
      last.result = { exitCode: read.exitCode, output: last.result.output + read.output };
      session = read.session;
      waits = session === null ? 0 : waits + 1;
    }
  }
  return { executed, running: session === null ? null : { session, waits } };
}

/** Null for a call that goes on with an earlier command, such as `write_stdin`. */
function commandOf(item: Item): string | null {
  if (item.action) return item.action.command.at(-1) ?? null;
  const args = z.object({ cmd: z.string().optional(), command: z.union([z.string(), z.array(z.string())]).optional() });
  const parsed = args.safeParse(parseJson(item.arguments ?? ''));
  if (!parsed.success) return null;
  const { cmd, command } = parsed.data;
  return cmd ?? (Array.isArray(command) ? (command.at(-1) ?? null) : (command ?? null));
}

/** Exit code and text of a tool's output: JSON with metadata, or Codex's plain headers above `Output:`. */
export function readOutput(raw: string): CommandResult & { session: number | null } {
  const json = z.object({ output: z.string(), metadata: z.object({ exit_code: z.number() }) }).safeParse(parseJson(raw));
  if (json.success) return { exitCode: json.data.metadata.exit_code, output: clean(json.data.output), session: null };
  const body = /^Output:\n?/m.exec(raw);
  const head = body ? raw.slice(0, body.index) : raw;
  const exit = /^(?:Process exited with code|Exit code:) (-?\d+)/m.exec(head);
  const session = /^Process running with session ID (\d+)/m.exec(head);
  return {
    exitCode: exit ? Number(exit[1]) : null,
    output: clean(body ? raw.slice(body.index + body[0].length) : raw),
    session: session && !exit ? Number(session[1]) : null,
  };
}

/** As a reader sees it: without colours and carriage returns of a terminal. */
function clean(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: terminal colours start with ESC
  return text.replaceAll(/\u001b\[[0-9;?]*[A-Za-z]/g, '').replaceAll('\r', '');
}

function textOf(content: Item['content']): string {
  if (typeof content === 'string') return content.trim();
  const parts = (content ?? [])
    .map((part) => textPart.safeParse(part))
    .flatMap((part) => (part.success ? [part.data.text.trim()] : []));
  return parts.filter((part) => !isAgentContext(part)).join('\n\n');
}

function outputText(output: unknown): string {
  if (typeof output === 'string') return output;
  if (Array.isArray(output)) return output.map((part) => textPart.safeParse(part).data?.text ?? '').join('');
  const wrapped = z.object({ content: z.unknown() }).safeParse(output);
  return wrapped.success && wrapped.data.content !== undefined ? outputText(wrapped.data.content) : '';
}
