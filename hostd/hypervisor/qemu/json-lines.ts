import { createConnection, type Socket } from 'node:net';

/** A line longer than this is a peer gone wrong: QEMU's console ring and the guest's inventory are well below. */
const LINE_BYTES_MAX = 2 * 1024 * 1024;

/**
 * JSON values, one per line, over a unix socket: the framing that QMP and the guest agent share. The bytes may come from a
 * hostile guest: a line that is no JSON is the value undefined, one that does not end closes the connection.
 */
export class JsonLines {
  readonly #socket: Socket;
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  onValue: (value: unknown) => void = () => {};
  #isPaused = false;
  /** Settles when the connection is gone. */
  readonly closed: Promise<void>;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
  }

  /** @throws the socket's error when nothing listens there */
  static connect(socketPath: string): Promise<JsonLines> {
    return new Promise((resolve, reject) => {
      const socket = createConnection(socketPath);
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        resolve(new JsonLines(socket));
      });
    });
  }

  #receive(chunk: Buffer): void {
    let rest = chunk;
    for (let end = rest.indexOf(0x0a); end !== -1 && !this.#isPaused; end = rest.indexOf(0x0a)) {
      const line = Buffer.concat([...this.#pending, rest.subarray(0, end)]);
      this.#pending = [];
      this.#pendingBytes = 0;
      rest = rest.subarray(end + 1);
      this.onValue(parseLine(line));
    }
    if (rest.length === 0 || this.#isPaused) return;
    this.#pending.push(rest);
    this.#pendingBytes += rest.length;
    if (this.#pendingBytes > LINE_BYTES_MAX) this.close();
  }

  /** @param prefix raw bytes that go before the line */
  send(value: unknown, prefix: Buffer = Buffer.alloc(0)): void {
    this.#socket.write(Buffer.concat([prefix, Buffer.from(`${JSON.stringify(value)}\n`)]));
  }

  /**
   * Drops what is there and reads no more until `resume`: whoever writes is held up by the socket. The end of the connection is
   * not seen meanwhile.
   */
  pause(): void {
    this.#isPaused = true;
    this.#pending = [];
    this.#pendingBytes = 0;
    this.#socket.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#socket.resume();
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** Undefined for what is no JSON. The guest agent marks a fresh start with a byte 0xff, which is no part of the value. */
export function parseLine(line: Buffer): unknown {
  const start = line.lastIndexOf(0xff) + 1;
  try {
    return JSON.parse(line.toString('utf8', start));
  } catch {
    return undefined;
  }
}
