import { createConnection, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { findBanner } from './banner.ts';

/** A banner is at most 255 bytes and the last thing an sshd says before it is spoken to; what came before may be dropped. */
const UNREAD_BYTES_MAX = 4 * 1024;
/** What waits for a guest that does not read. More than the windows of thirty sshd channels is no longer patience. */
export const UNSENT_BYTES_MAX = 64 * 1024 * 1024;

/**
 * The host's end of one virtio-serial port. The unix socket stays connected for as long as QEMU lives, because a guest program
 * that reads a disconnected port spins; SSH connections come and go on top of it, one at a time (`openStream`). Between them
 * the port keeps what the guest's next `sshd` sends on its own accord: its banner.
 */
export class GuestPort {
  readonly #socket: Socket;
  #unread: Buffer = Buffer.alloc(0);
  #stream: PortStream | null = null;
  #lastChunk: Buffer = Buffer.alloc(0);
  #onUnread: (() => void) | null = null;
  #onClosed: (() => void) | null = null;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.once('close', () => {
      this.#stream?.destroy();
      this.#onClosed?.();
    });
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
  }

  /** Rejects with the socket's error when nothing listens there. */
  static connect(socketPath: string): Promise<GuestPort> {
    return new Promise((resolve, reject) => {
      const socket = createConnection(socketPath);
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        resolve(new GuestPort(socket));
      });
    });
  }

  #receive(chunk: Buffer): void {
    if (this.#stream) {
      this.#lastChunk = chunk;
      if (!this.#stream.push(chunk)) this.#socket.pause();
      return;
    }
    this.#unread = Buffer.concat([this.#unread, chunk]).subarray(-UNREAD_BYTES_MAX);
    this.#onUnread?.();
  }

  /**
   * Waits for the line with which a fresh `sshd` opens, and returns it with all that followed. What came before, such as the
   * last encrypted bytes of a connection that was cut, is dropped. Rejects when the port closes or `signal` aborts.
   */
  async awaitBanner(signal: AbortSignal): Promise<Buffer> {
    for (;;) {
      const bytes = this.#unread;
      const at = findBanner(bytes);
      if (at !== -1) {
        this.#unread = Buffer.alloc(0);
        return bytes.subarray(at);
      }
      await this.#nextChunk(signal);
    }
  }

  #nextChunk(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (then: () => void) => () => {
        this.#onUnread = null;
        this.#onClosed = null;
        signal.removeEventListener('abort', aborted);
        then();
      };
      const aborted = settle(() => reject(signal.reason));
      if (signal.aborted) return aborted();
      signal.addEventListener('abort', aborted);
      this.#onUnread = settle(resolve);
      this.#onClosed = settle(() => reject(new Error('the port closed')));
      if (this.isClosed) this.#onClosed();
    });
  }

  /** Raw bytes to the guest outside any connection: makes an `sshd` that still serves a dead one give up. */
  nudge(): void {
    if (!this.#stream && !this.#socket.destroyed) this.#socket.write('\r\nwarren: start over\r\n'.repeat(8));
  }

  /** A stream for one SSH connection that first reads `prelude`. Ending it leaves the port open. */
  openStream(prelude: Buffer): Duplex {
    this.#stream?.destroy();
    const stream = new PortStream(this.#socket, () => {
      if (this.#stream !== stream) return;
      this.#stream = null;
      this.#socket.resume();
      // When sshd was replaced under a live connection, its banner is what broke that connection.
      const at = findBanner(this.#lastChunk);
      if (at !== -1) this.#receive(this.#lastChunk.subarray(at));
    });
    this.#stream = stream;
    this.#lastChunk = Buffer.alloc(0);
    stream.push(prelude);
    return stream;
  }

  /** The start of what the guest sent last, made printable: why a handshake failed. */
  get lastHeard(): string {
    return this.#lastChunk
      .subarray(0, 80)
      .toString('latin1')
      .replace(/[^\x20-\x7e]/g, '.');
  }

  get isClosed(): boolean {
    return this.#socket.destroyed;
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** Forwards to the socket without owning it. */
class PortStream extends Duplex {
  readonly #socket: Socket;
  readonly #detach: () => void;

  constructor(socket: Socket, detach: () => void) {
    super({ allowHalfOpen: false });
    this.#socket = socket;
    this.#detach = detach;
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#socket.write(chunk, done);
  }

  /** ssh2 writes without waiting, and of a guest that takes in nothing `_write` hears no more. */
  override write(chunk: Buffer, ...rest: never[]): boolean {
    if (this.writableLength > UNSENT_BYTES_MAX) this.destroy(new Error(`the guest left ${this.writableLength} bytes unread`));
    return !this.destroyed && super.write(chunk, ...rest);
  }

  override _final(done: () => void): void {
    this.#detach();
    this.push(null);
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#detach();
    done(error);
  }
}
