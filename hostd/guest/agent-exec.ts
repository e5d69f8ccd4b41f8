import { EXEC_OUTPUT_BYTES_MAX, type ExecResult } from '../contract/machines.ts';
import type { GuestAgent } from '../machines/guest-port.ts';
import { buildCommand } from './command.ts';
import { CHANNEL_GRACE_MS, type ExecRequest, isTimeout } from './exec.ts';
import { LastBytes } from './last-bytes.ts';

/**
 * Like `execInGuest`, through the guest agent: it answers as soon as the guest runs, where SSH shakes hands first. The command gets
 * the environment that sshd would give it. There may be no way out of the machine yet. Rejects with `guest_unreachable`.
 */
export async function execByAgent(agent: GuestAgent, input: ExecRequest): Promise<ExecResult> {
  const startedAt = performance.now();
  const script = `set -a; . /etc/environment; set +a; ${buildCommand(input)}`;
  // Not bash, which sshd would start: this one starts in half the time, and the command line is POSIX.
  const done = await agent.exec(['/bin/sh', '-c', script], {
    timeoutMs: input.timeoutMs + CHANNEL_GRACE_MS,
    ...(input.stdin === undefined ? {} : { stdin: input.stdin.toString() }),
  });
  const durationMs = performance.now() - startedAt;
  const timedOut = isTimeout(done.exitCode, durationMs, input.timeoutMs);
  const [stdout, stderr] = [done.stdout, done.stderr].map((text) => {
    const kept = new LastBytes(EXEC_OUTPUT_BYTES_MAX);
    kept.add(Buffer.from(text));
    return kept;
  }) as [LastBytes, LastBytes];
  return {
    // The agent tells of a signal by a code that no program can have.
    exitCode: timedOut || done.exitCode < 0 ? null : done.exitCode,
    signal: null,
    timedOut,
    stdout: stdout.toString(),
    stderr: stderr.toString(),
    truncated: stdout.truncated || stderr.truncated,
    durationMs: Math.round(durationMs),
  };
}
