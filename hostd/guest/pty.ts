import type { Client, ClientChannel } from 'ssh2';
import { HostdError } from '../errors.ts';
import { buildCommand, type GuestUser } from './command.ts';

export type TerminalRequest = { name: string; user: GuestUser; cwd: string; cols: number; rows: number };

/** tmux reads `.` and `:` in names as addresses. */
export const TERMINAL_NAME = /^[a-zA-Z0-9_-]{1,40}$/;

/** A tmux server of our own, so that the person's settings and ours do not meet. */
const TMUX = ['tmux', '-L', 'warren', '-u', '-f', '/dev/null'];
const OPTIONS = [
  ['-g', 'status', 'off'],
  ['-g', 'history-limit', '20000'],
  ['-g', 'window-size', 'latest'],
  // Escape is a key of its own; half a second of waiting for more is felt in every editor.
  ['-s', 'escape-time', '10'],
  // Without the alternate screen the terminal in the page scrolls through what went by.
  ['-g', 'terminal-overrides', 'xterm*:smcup@:rmcup@'],
];

/** The command that attaches to the session of that name or makes it. */
export function terminalCommand({ name, user, cwd }: Omit<TerminalRequest, 'cols' | 'rows'>): string {
  const options = OPTIONS.flatMap((option) => ['set-option', ...option, ';']);
  return buildCommand({ argv: [...TMUX, 'start-server', ';', ...options, 'new-session', '-A', '-s', name, '-c', cwd], user });
}

/**
 * A terminal of the guest. The session in tmux outlives the channel, the connection and a suspend; only `exit` in its shell
 * ends it, and then the channel closes with an exit code. Rejects with `guest_unreachable`.
 */
export function openTerminal(client: Client, request: TerminalRequest): Promise<ClientChannel> {
  const { cols, rows } = request;
  return new Promise((resolve, reject) => {
    client.exec(terminalCommand(request), { pty: { term: 'xterm-256color', cols, rows } }, (cause, channel) => {
      if (cause) {
        return reject(
          new HostdError('guest_unreachable', { message: 'the guest refused a terminal', phase: 'guest.pty', cause }),
        );
      }
      channel.on('error', () => channel.destroy());
      // Unread, it would hold back the end of the channel.
      channel.stderr.resume();
      resolve(channel);
    });
  });
}
