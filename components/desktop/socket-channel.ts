import type { RfbChannel } from '@novnc/novnc';
import { DESKTOP_INPUT_BYTES_MAX, DESKTOP_WINDOW_BYTES } from '../../server/realtime/contract.ts';
import type { AppSocket } from '../realtime/realtime-provider.tsx';

/** Reported often enough that the server never has to wait for a page that keeps up. */
const REPORT_BYTES = DESKTOP_WINDOW_BYTES / 16;

const ENDED = {
  exited: 'The desktop ended in the machine.',
  asleep: 'The machine fell asleep.',
  lost: 'The connection to the machine was lost. What ran in it goes on.',
};

type Socket = Pick<AppSocket, 'on' | 'off' | 'emit'>;
type Ref = { orgSlug: string; sessionId: string };

/** The desktop of a session as noVNC wants it: something like a WebSocket, over the connection that the page has anyway. */
export class SocketChannel implements RfbChannel {
  binaryType = 'arraybuffer';
  readonly protocol = '';
  readyState: RfbChannel['readyState'] = 'connecting';
  onopen: RfbChannel['onopen'] = null;
  onmessage: RfbChannel['onmessage'] = null;
  onerror: RfbChannel['onerror'] = null;
  onclose: RfbChannel['onclose'] = null;
  readonly #socket: Socket;
  readonly #ref: Ref;
  #unreported = 0;

  constructor(socket: Socket, ref: Ref) {
    this.#socket = socket;
    this.#ref = ref;
    socket.on('desktop.output', this.#onOutput);
    socket.on('desktop.ended', this.#onEnded);
    socket.emit('desktop.open', ref, (reply) => {
      if (this.readyState !== 'connecting') return;
      if (!reply.ok) return this.#finish(reply.message);
      this.readyState = 'open';
      this.onopen?.();
    });
  }

  send(data: Uint8Array | ArrayBuffer): void {
    if (this.readyState !== 'open') return;
    const { sessionId } = this.#ref;
    // A copy: noVNC writes its next message into the same buffer.
    const bytes = new Uint8Array(data).slice();
    for (let at = 0; at < bytes.length; at += DESKTOP_INPUT_BYTES_MAX) {
      this.#socket.emit('desktop.input', { sessionId, data: bytes.subarray(at, at + DESKTOP_INPUT_BYTES_MAX) });
    }
  }

  close(): void {
    if (this.readyState === 'closed') return;
    this.#socket.emit('desktop.close', { sessionId: this.#ref.sessionId });
    this.#finish('');
  }

  readonly #onOutput = ({ sessionId, data }: { sessionId: string; data: Uint8Array | ArrayBuffer }) => {
    if (sessionId !== this.#ref.sessionId || this.readyState === 'closed') return;
    this.onmessage?.({ data: data instanceof ArrayBuffer ? data : new Uint8Array(data).buffer });
    this.#unreported += data.byteLength;
    if (this.#unreported < REPORT_BYTES) return;
    this.#socket.emit('desktop.consumed', { sessionId, bytes: this.#unreported });
    this.#unreported = 0;
  };

  readonly #onEnded = ({ sessionId, reason }: { sessionId: string; reason: keyof typeof ENDED }) => {
    if (sessionId === this.#ref.sessionId) this.#finish(ENDED[reason]);
  };

  #finish(reason: string): void {
    if (this.readyState === 'closed') return;
    this.readyState = 'closed';
    this.#socket.off('desktop.output', this.#onOutput);
    this.#socket.off('desktop.ended', this.#onEnded);
    this.onclose?.({ code: 1000, reason });
  }
}
