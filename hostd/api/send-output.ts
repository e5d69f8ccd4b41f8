import type { Readable } from 'node:stream';
import type { WebSocket } from 'ws';

/** Above this many unsent bytes the guest's output waits; below half of it, it goes on. */
const UNSENT_BYTES_MAX = 256 * 1024;

/** Sends what the guest says as binary frames, no faster than the other side takes it. */
export function sendOutput(source: Readable, ws: WebSocket): void {
  source.on('data', (chunk: Buffer) => {
    ws.send(chunk, { binary: true }, () => {
      if (ws.bufferedAmount < UNSENT_BYTES_MAX / 2) source.resume();
    });
    if (ws.bufferedAmount > UNSENT_BYTES_MAX) source.pause();
  });
}
