import type { ExecResult } from '../../hostd/contract/machines.ts';
import type { HostClient } from '../../server/hosts/host-client.ts';

export type Guest = { host: HostClient; machineId: string };

export type ScriptOptions = {
  args?: string[];
  stdin?: string;
  user?: 'agent' | 'root';
  cwd?: string;
  timeoutMs?: number;
  network?: boolean;
};

/** A command in the guest that did not end with 0. `tail` is the end of what it printed. */
export class GuestCommandError extends Error {
  override readonly name = 'GuestCommandError';
  readonly step: string;
  readonly result: ExecResult;

  constructor(step: string, result: ExecResult) {
    const ending = result.timedOut ? 'took too long' : `ended with ${result.exitCode ?? result.signal}`;
    super(`${step} ${ending} in the machine: ${lastLine(result.stderr || result.stdout)}`);
    this.step = step;
    this.result = result;
  }

  get tail(): string {
    return `${this.result.stdout}\n${this.result.stderr}`.trim().slice(-4000);
  }
}

const lastLine = (text: string) => text.trim().split('\n').at(-1) ?? '';

/**
 * Runs a POSIX shell script in the guest; values go in as arguments, never into its text. `name` becomes `$0`, which
 * shows in the guest's process list and is how the fake guest of the tests knows what is asked.
 * @returns stdout; rejects with GuestCommandError, or HostError when the machine did not answer
 */
export async function runScript(guest: Guest, name: string, script: string, options: ScriptOptions = {}): Promise<string> {
  const { args = [], stdin, user = 'agent', cwd, timeoutMs = 60_000, network = true } = options;
  const argv = ['sh', '-c', script, `warren-${name}`, ...args];
  const result = await guest.host.exec(guest.machineId, {
    argv,
    user,
    cwd,
    timeoutMs,
    network,
    ...(stdin === undefined ? {} : { stdin }),
  });
  if (result.exitCode !== 0) throw new GuestCommandError(name, result);
  return result.stdout;
}
