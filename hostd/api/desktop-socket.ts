import type { WebSocket } from 'ws';
import { z } from 'zod';
import { openDesktop } from '../guest/desktop.ts';
import { RfbClientFilter, RfbError } from '../guest/rfb/client-filter.ts';
import type { GuestSession } from './guest-session.ts';
import { sendOutput } from './send-output.ts';

const CLIENT_DEADLINE_MS = 30_000;

export const desktopQuerySchema = z.object({
  /** Input is dropped on its way to the machine. */
  viewOnly: z.enum(['0', '1']).transform((text) => text === '1'),
});
export type DesktopRequest = z.output<typeof desktopQuerySchema> & {
  /** Of the VNC server in the machine; GUEST.desktopSocket when absent. */
  socketPath?: string;
};

/**
 * Joins a websocket to the machine's VNC server until one of them ends. Closes with 1000 `ended`, 1001 `machine gone`, 1008 and
 * what was not RFB, or 1011 and the cause. A connection that was lost is not made again: RFB begins with a greeting.
 */
export async function serveDesktop(ws: WebSocket, { channel, touch }: GuestSession, request: DesktopRequest): Promise<void> {
  const filter = new RfbClientFilter(request);
  // What comes meanwhile waits in the socket instead of being lost.
  ws.pause();
  const desktop = await openDesktop(await channel.client(CLIENT_DEADLINE_MS), request.socketPath);
  ws.on('close', () => desktop.destroy());
  ws.on('message', (data: Buffer) => {
    try {
      const { bytes, input } = filter.push(data);
      if (input) touch();
      if (bytes.length === 0 || desktop.write(bytes)) return;
      ws.pause();
      desktop.once('drain', () => ws.resume());
    } catch (error) {
      if (!(error instanceof RfbError)) throw error;
      ws.close(1008, `not RFB: ${error.message}`.slice(0, 100));
      desktop.destroy();
    }
  });
  ws.resume();
  if (ws.readyState !== ws.OPEN) desktop.destroy();
  const closed = new Promise<void>((resolve) => desktop.once('close', () => resolve()));
  sendOutput(desktop, ws);
  await closed;
  ws.resume();
  if (channel.isParked) ws.close(1001, 'machine gone');
  else ws.close(1000, 'ended');
}
