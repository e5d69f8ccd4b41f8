import type { Client, ClientChannel } from 'ssh2';
import { EXEC_OUTPUT_BYTES_MAX, type ExecResult } from '../contract/machines.ts';
import { HostdError } from '../errors.ts';
import { buildCommand, type CommandOptions, KILL_AFTER_SECONDS } from './command.ts';
import { LastBytes } from './last-bytes.ts';

/** Beyond the guest's own time-out and kill: a guest that is too slow, or hostile, to end its processes. */
export const CHANNEL_GRACE_MS = (KILL_AFTER_SECONDS + 5) * 1000;
/** Exit codes of timeout(1): it ended the command, or had to kill it. */
const TIMEOUT_CODES: readonly (number | null)[] = [124, 137];

export function isTimeout(exitCode: number | null, durationMs: number, timeoutMs: number): boolean {
  return TIMEOUT_CODES.includes(exitCode) && durationMs >= timeoutMs;
}

/** One command line on a channel of its own. Rejects with `guest_unreachable` when the connection is gone. */
export function openCommand(client: Client, command: string): Promise<ClientChannel> {
  return new Promise((resolve, reject) => {
    const fail = (cause?: unknown) => {
      client.off('close', fail);
      reject(new HostdError('guest_unreachable', { message: 'the guest refused to run a command', phase: 'guest.exec', cause }));
    };
    client.once('close', fail);
    try {
      client.exec(command, (error, channel) => {
        client.off('close', fail);
        if (error) return fail(error);
        channel.on('error', () => channel.destroy());
        channel.stderr.on('error', () => {});
        resolve(channel);
      });
    } catch (error) {
      fail(error);
    }
  });
}

export type ExecRequest = CommandOptions & { timeoutMs: number; stdin?: string | Buffer | undefined };

/**
 * Runs `argv` and collects its output. A command that fails is a result, not an error. Rejects with `guest_unreachable` when the
 * connection is lost half-way: the command may have run, and may still run until its time-out.
 */
export async function execInGuest(client: Client, input: ExecRequest): Promise<ExecResult> {
  const startedAt = performance.now();
  const channel = await openCommand(client, buildCommand(input));
  const stdout = new LastBytes(EXEC_OUTPUT_BYTES_MAX);
  const stderr = new LastBytes(EXEC_OUTPUT_BYTES_MAX);
  channel.on('data', (chunk: Buffer) => stdout.add(chunk));
  channel.stderr.on('data', (chunk: Buffer) => stderr.add(chunk));
  let gaveUp = false;
  const end = await new Promise<{ code: number | null; signal: string | null } | null>((resolve) => {
    const timer = setTimeout(() => {
      gaveUp = true;
      channel.destroy();
      resolve({ code: null, signal: null });
    }, input.timeoutMs + CHANNEL_GRACE_MS);
    // With what `exit` says, which may have been said already: to a process that was busy, the whole answer comes at once.
    channel.once('close', (code?: number | null, signal?: string) => {
      clearTimeout(timer);
      resolve(code === undefined ? null : { code, signal: signal ?? null });
    });
    channel.end(input.stdin ?? '');
  });
  if (!end)
    throw new HostdError('guest_unreachable', { message: 'the connection was lost while a command ran', phase: 'guest.exec' });
  const durationMs = performance.now() - startedAt;
  const timedOut = gaveUp || isTimeout(end.code, durationMs, input.timeoutMs);
  return {
    exitCode: timedOut ? null : end.code,
    signal: timedOut ? null : end.signal,
    timedOut,
    stdout: stdout.toString(),
    stderr: stderr.toString(),
    truncated: stdout.truncated || stderr.truncated,
    durationMs: Math.round(durationMs),
  };
}
