import { GUEST } from '../contract/machines.ts';
import { HostdError } from '../errors.ts';
import { quoteArgv } from './quote.ts';

export type GuestUser = 'agent' | 'root';

const HOMES = { agent: `/home/${GUEST.agentUser}`, root: '/root' } as const;
/** From the time-out's SIGTERM to its SIGKILL. */
export const KILL_AFTER_SECONDS = 2;

export type CommandOptions = {
  argv: readonly string[];
  user: GuestUser;
  cwd?: string | undefined;
  env?: Readonly<Record<string, string>> | undefined;
  /** Enforced inside the guest on the whole process group, so that it holds even when the channel is lost. */
  timeoutMs?: number | undefined;
};

/**
 * The command line that runs `argv` in the guest without a shell of its own. SSH is always root's: there is one connection per
 * port, and `setpriv` costs one exec where a login would cost a second handshake. The proxy variables are sshd's (SetEnv).
 */
export function buildCommand({ argv, user, cwd, env = {}, timeoutMs }: CommandOptions): string {
  const words: string[] = ['exec'];
  if (user !== 'root') words.push('setpriv', `--reuid=${GUEST.agentUser}`, `--regid=${GUEST.agentUser}`, '--init-groups', '--');
  const shell = '/bin/bash';
  const account = user === 'root' ? 'root' : GUEST.agentUser;
  words.push('env', `--chdir=${cwd ?? HOMES[user]}`);
  words.push(`HOME=${HOMES[user]}`, `USER=${account}`, `LOGNAME=${account}`, `SHELL=${shell}`);
  for (const [name, value] of Object.entries(env)) {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
      throw new HostdError('bad_request', { message: `${JSON.stringify(name)} is not the name of an environment variable` });
    }
    words.push(`${name}=${value}`);
  }
  if (timeoutMs !== undefined) words.push('timeout', `--kill-after=${KILL_AFTER_SECONDS}`, (timeoutMs / 1000).toFixed(3));
  try {
    return quoteArgv([...words, ...argv]);
  } catch (cause) {
    throw new HostdError('bad_request', { message: cause instanceof Error ? cause.message : 'bad argument', cause });
  }
}
