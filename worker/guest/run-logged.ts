import { GUEST } from '../../hostd/contract/machines.ts';
import { lastBytes } from '../acp/tool-content.ts';
import type { Guest } from './run-script.ts';

export type LoggedCommand = {
  /** Names the log file in the guest; letters, digits and dashes. */
  name: string;
  command: string;
  timeoutMs: number;
  /** Output as it comes, both streams in order. */
  onOutput?: (text: string) => void;
};

export type LoggedResult = { exitCode: number | null; timedOut: boolean; durationMs: number; log: string };

export const LOG_BYTES_MAX = 64 * 1024;
/** How long the last output may lag behind the command's end. */
const DRAIN_MS_MAX = 10_000;

// The log's size is printed when the command has ended, so that the reader knows when it has everything.
const RUN = `
log="$1"
cd ${GUEST.workspace}
(exec bash -lc "$2") >> "$log" 2>&1 < /dev/null
code=$?
stat -c %s "$log"
exit $code
`;

/**
 * Runs a command of the repository's in the workspace as the agent's user, with its output followed while it runs.
 * Rejects with HostError when the machine does not answer; a command that fails or takes too long is a result.
 */
export async function runLogged(
  { host, machineId }: Guest,
  { name, command, timeoutMs, onOutput }: LoggedCommand,
): Promise<LoggedResult> {
  const path = `/tmp/warren-${name}.log`;
  await host.write(machineId, { path, dataBase64: '', mode: 'replace' });
  const stop = new AbortController();
  const output = new OutputTail(onOutput);
  const following = follow();
  try {
    const argv = ['sh', '-c', RUN, 'warren-run-logged', path, command];
    const result = await host.exec(machineId, { argv, timeoutMs });
    // A shell that could not even start says why on its own stderr.
    if (result.stderr) output.push(Buffer.from(result.stderr));
    else await output.until(Number(result.stdout.trim()), result.timedOut ? 0 : DRAIN_MS_MAX);
    return { exitCode: result.exitCode, timedOut: result.timedOut, durationMs: result.durationMs, log: output.text() };
  } finally {
    stop.abort();
    await following;
  }

  /** Showing progress is best effort: a stream that breaks costs output, never the command. */
  async function follow() {
    try {
      for await (const bytes of host.tail(machineId, path, 0, stop.signal)) output.push(bytes);
    } catch {
      output.close();
    }
  }
}

/** The end of what a command printed, and when it is complete. */
class OutputTail {
  private readonly decoder = new TextDecoder();
  private readonly onOutput: ((text: string) => void) | undefined;
  private kept = '';
  private bytes = 0;
  private closed = false;
  private changed: () => void = () => {};

  constructor(onOutput?: (text: string) => void) {
    this.onOutput = onOutput;
  }

  push(bytes: Uint8Array) {
    this.bytes += bytes.byteLength;
    const text = this.decoder.decode(bytes, { stream: true }).toWellFormed().replaceAll('\0', '\uFFFD');
    this.kept = lastBytes(this.kept + text, LOG_BYTES_MAX);
    this.onOutput?.(text);
    this.changed();
  }

  close() {
    this.closed = true;
    this.changed();
  }

  text() {
    return this.kept;
  }

  /** Resolves once this many bytes came, the stream closed, or the time is up. */
  async until(bytes: number, timeoutMs: number): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    while (this.bytes < bytes && !this.closed && Date.now() < deadline) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.changed = resolve;
      const timer = setTimeout(resolve, deadline - Date.now());
      await promise;
      clearTimeout(timer);
    }
  }
}
