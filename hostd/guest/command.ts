import { GUEST } from '../contract/machines.ts';
import { HostdError, messageOf } from '../errors.ts';
import { quoteArg, quoteArgv } from './quote.ts';

export type GuestUser = typeof GUEST.agentUser | 'root';

const HOMES = { agent: `/home/${GUEST.agentUser}`, root: '/root' } satisfies Record<GuestUser, string>;
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

/** As env(1) and timeout(1) say it when they cannot start the program at all. */
const CANNOT_START = 125;

/**
 * The command line that runs `argv` in the guest as given. SSH is always root's: there is one connection per port, and `setpriv`
 * costs one exec where a login would cost a second handshake. Directory and account are set by the login shell itself, because
 * under emulation each further program costs 30 ms. The proxy variables are sshd's (SetEnv).
 */
export function buildCommand({ argv, user, cwd = HOMES[user], env = {}, timeoutMs }: CommandOptions): string {
  if (!cwd.startsWith('/')) throw new HostdError('bad_request', { message: `${JSON.stringify(cwd)} is not an absolute path` });
  const words: string[] = [];
  if (user === 'agent') words.push('setpriv', '--reuid=agent', '--regid=agent', '--init-groups', '--');
  const variables = Object.entries(env);
  if (variables.length > 0) words.push('env');
  for (const [name, value] of variables) {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
      throw new HostdError('bad_request', { message: `${JSON.stringify(name)} is not the name of an environment variable` });
    }
    words.push(`${name}=${value}`);
  }
  if (timeoutMs !== undefined) words.push('timeout', `--kill-after=${KILL_AFTER_SECONDS}`, (timeoutMs / 1000).toFixed(3));
  const account = `HOME=${HOMES[user]} USER=${user} LOGNAME=${user} SHELL=/bin/bash`;
  try {
    return `cd ${quoteArg(cwd)} || exit ${CANNOT_START}; ${account} exec ${quoteArgv([...words, ...argv])}`;
  } catch (cause) {
    throw new HostdError('bad_request', { message: messageOf(cause), cause });
  }
}
