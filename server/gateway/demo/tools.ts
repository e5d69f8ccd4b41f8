/** A call of the agent's own shell tool, as an output item of the Responses API without its ids. */
export type ToolCall =
  | { type: 'function_call'; name: string; arguments: string }
  | { type: 'local_shell_call'; status: 'completed'; action: { type: 'exec'; command: string[]; timeout_ms: number } };

const COMMAND_MS_MAX = 15 * 60_000;
/** How long one call waits for its command before it is asked again. */
const YIELD_MS = 30_000;

type Tool = { type: string; name?: string };

/** How this agent runs a command, or null when it offers no shell this script knows. */
export function shellCall(tools: readonly Tool[], command: string): ToolCall | null {
  const offers = (name: string) => tools.some((tool) => tool.type === 'function' && tool.name === name);
  if (offers('exec_command')) return call('exec_command', { cmd: command, yield_time_ms: YIELD_MS, max_output_tokens: 20_000 });
  if (offers('shell_command')) return call('shell_command', { command, timeout_ms: COMMAND_MS_MAX });
  if (offers('shell')) return call('shell', { command: ['bash', '-lc', command], timeout_ms: COMMAND_MS_MAX });
  if (!tools.some((tool) => tool.type === 'local_shell')) return null;
  return {
    type: 'local_shell_call',
    status: 'completed',
    action: { type: 'exec', command: ['bash', '-lc', command], timeout_ms: COMMAND_MS_MAX },
  };
}

/** Waits on for a command that `exec_command` left running. */
export function waitCall(session: number): ToolCall {
  return call('write_stdin', { session_id: session, chars: '', yield_time_ms: YIELD_MS });
}

function call(name: string, args: Record<string, unknown>): ToolCall {
  return { type: 'function_call', name, arguments: JSON.stringify(args) };
}
