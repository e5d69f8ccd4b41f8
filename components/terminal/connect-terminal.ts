import type { Terminal } from '@xterm/xterm';
import { TERMINAL_INPUT_CHARS_MAX, TERMINAL_WINDOW_CHARS } from '../../server/realtime/contract.ts';
import type { AppSocket } from '../realtime/realtime-provider.tsx';
import type { LiveState } from '../session/live-view.tsx';

type Options = {
  socket: AppSocket;
  terminal: Terminal;
  orgSlug: string;
  sessionId: string;
  onState: (state: LiveState) => void;
};

/** One terminal per session: tmux has windows of its own. */
const NAME = 'main';
/** Reported often enough that the server never has to wait for a page that keeps up. */
const REPORT_CHARS = TERMINAL_WINDOW_CHARS / 10;

const ENDED = {
  exited: 'The shell exited.',
  asleep: 'The machine fell asleep.',
  lost: 'The connection to the machine was lost. What ran in it goes on.',
};

/** Joins a screen to the session's terminal; the returned function parts them and leaves the shell running. */
export function connectTerminal({ socket, terminal, orgSlug, sessionId, onState }: Options): () => void {
  const ref = { sessionId, name: NAME };
  const isMine = (other: { sessionId: string; name: string }) => other.sessionId === sessionId && other.name === NAME;
  let isOver = false;
  let unreported = 0;

  const onOutput = (output: { sessionId: string; name: string; data: string }) => {
    if (!isMine(output)) return;
    // Counted when it is on the screen, not when it came: that is what keeps `yes` from filling the page's memory.
    terminal.write(output.data, () => {
      unreported += output.data.length;
      if (unreported < REPORT_CHARS || isOver) return;
      socket.emit('terminal.consumed', { ...ref, chars: unreported });
      unreported = 0;
    });
  };
  const onEnded = (end: { sessionId: string; name: string; reason: keyof typeof ENDED }) => {
    if (isMine(end)) onState({ kind: 'ended', message: ENDED[end.reason] });
  };
  socket.on('terminal.output', onOutput);
  socket.on('terminal.ended', onEnded);

  const typed = terminal.onData((data) => {
    for (let at = 0; at < data.length; at += TERMINAL_INPUT_CHARS_MAX) {
      socket.emit('terminal.input', { ...ref, data: data.slice(at, at + TERMINAL_INPUT_CHARS_MAX) });
    }
  });
  const resized = terminal.onResize(({ cols, rows }) => socket.emit('terminal.resize', { ...ref, cols, rows }));

  onState({ kind: 'opening' });
  // tmux draws the whole screen again.
  terminal.reset();
  socket.emit('terminal.open', { orgSlug, ...ref, cols: terminal.cols, rows: terminal.rows }, (reply) => {
    if (!isOver) onState(reply.ok ? { kind: 'open' } : { kind: 'ended', message: reply.message });
  });

  return () => {
    isOver = true;
    socket.off('terminal.output', onOutput);
    socket.off('terminal.ended', onEnded);
    typed.dispose();
    resized.dispose();
    socket.emit('terminal.close', ref);
  };
}
