import type { ClientChannel } from 'ssh2';
import type { WebSocket } from 'ws';
import { z } from 'zod';
import { ptyControlSchema } from '../contract/machines.ts';
import { openTerminal, TERMINAL_NAME, type TerminalRequest } from '../guest/pty.ts';
import type { GuestSession } from './guest-session.ts';
import { sendOutput } from './send-output.ts';

const CLIENT_DEADLINE_MS = 30_000;
/** The web sends at most 64,000 characters of input at a time, each up to four bytes. */
export const PTY_MESSAGE_BYTES_MAX = 256 * 1024;

export const ptyQuerySchema = z.object({
  name: z.string().regex(TERMINAL_NAME).default('main'),
  user: z.enum(['agent', 'root']).default('agent'),
  cwd: z.string().startsWith('/').max(4096).default('/workspace'),
  cols: z.coerce.number().int().min(1).max(1000).default(80),
  rows: z.coerce.number().int().min(1).max(1000).default(24),
}) satisfies z.ZodType<TerminalRequest>;

/**
 * Joins a websocket to a terminal until one of them ends. When only the connection into the guest is lost, it attaches to the
 * same tmux session again and the websocket stays. Closes with 1000 `exited`, 1001 `machine gone` or 1011 and the cause.
 */
export async function servePty(ws: WebSocket, session: GuestSession, request: TerminalRequest): Promise<void> {
  let size = { cols: request.cols, rows: request.rows };
  let terminal: ClientChannel | null = null;
  ws.on('message', (data: Buffer, isBinary: boolean) => {
    session.touch();
    if (isBinary) {
      if (terminal && !terminal.write(data)) {
        ws.pause();
        terminal.once('drain', () => ws.resume());
        terminal.once('close', () => ws.resume());
      }
      return;
    }
    const control = parseControl(data.toString('utf8'));
    if (!control) return ws.close(1007, 'not a PtyControl');
    size = { cols: control.cols, rows: control.rows };
    terminal?.setWindow(size.rows, size.cols, 0, 0);
  });
  ws.on('close', () => terminal?.destroy());

  while (ws.readyState === ws.OPEN) {
    // What is typed meanwhile waits in the socket instead of being lost.
    ws.pause();
    const client = await session.channel.client(CLIENT_DEADLINE_MS);
    const attached = await openTerminal(client, { ...request, ...size });
    terminal = attached;
    ws.resume();
    if (ws.readyState !== ws.OPEN) attached.destroy();
    const exited = await copyOutput(attached, ws);
    terminal = null;
    if (exited) return ws.close(1000, 'exited');
    if (session.channel.isParked) return ws.close(1001, 'machine gone');
  }
}

/** Resolves when the terminal is over: true when its shell ended or it was detached, false when the connection was lost. */
function copyOutput(terminal: ClientChannel, ws: WebSocket): Promise<boolean> {
  return new Promise((resolve) => {
    let exited = false;
    terminal.once('exit', () => {
      exited = true;
    });
    terminal.once('close', () => resolve(exited));
    sendOutput(terminal, ws);
  });
}

function parseControl(text: string): z.infer<typeof ptyControlSchema> | null {
  try {
    return ptyControlSchema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}
