/*
 * The client's half of an RFB 3.8 connection (VNC), read message by message on its way to the machine's desktop. Decides what may
 * pass: whoever only looks sends no input, and what is not RFB goes nowhere. Pure; RFC 6143 and its registry of extensions.
 */
const VERSION = 'RFB 003.008\n';
const SECURITY_NONE = 1;
const SHARED = 1;
/** A pasted text, and anything else that carries its own length. */
const MESSAGE_BYTES_MAX = 1024 * 1024;

type Kind = {
  /** Bytes that must be there before the length is known. */
  head: number;
  length: (bytes: Buffer) => number;
  /** A person does something with it. */
  input: boolean;
};

const fixed = (length: number, input = false): Kind => ({ head: 1, length: () => length, input });

/** By message type. What is not here is refused: its length is not known, so nothing after it could be read. */
const KINDS: Readonly<Record<number, Kind>> = {
  0: fixed(20), // SetPixelFormat
  2: { head: 4, length: (bytes) => 4 + 4 * bytes.readUInt16BE(2), input: false }, // SetEncodings
  3: fixed(10), // FramebufferUpdateRequest
  4: fixed(8, true), // KeyEvent
  5: fixed(6, true), // PointerEvent
  // ClientCutText; a negative length is that of the extended clipboard.
  6: { head: 8, length: (bytes) => 8 + Math.abs(bytes.readInt32BE(4)), input: true },
  150: fixed(10), // EnableContinuousUpdates
  248: { head: 9, length: (bytes) => 9 + bytes.readUInt8(8), input: false }, // ClientFence
  251: { head: 8, length: (bytes) => 8 + 16 * bytes.readUInt8(6), input: true }, // SetDesktopSize
  255: fixed(12, true), // QEMU extended key event
};

export class RfbError extends Error {
  override readonly name = 'RfbError';
}

export type Passed = {
  /** What goes on to the machine. */
  bytes: Buffer;
  /** Whether a person's input was among it. */
  input: boolean;
};

export class RfbClientFilter {
  readonly #viewOnly: boolean;
  #step: 'version' | 'security' | 'init' | 'messages' = 'version';
  #rest: Buffer = Buffer.alloc(0);

  constructor({ viewOnly }: { viewOnly: boolean }) {
    this.#viewOnly = viewOnly;
  }

  /** @throws RfbError for what is not the client's half of RFB 3.8 without authentication; the connection is to end then */
  push(chunk: Buffer): Passed {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const passed: Buffer[] = [];
    let input = false;
    for (;;) {
      const length = this.#nextLength(bytes);
      if (length === null || bytes.length < length) break;
      const message = bytes.subarray(0, length);
      bytes = bytes.subarray(length);
      if (this.#step !== 'messages') {
        passed.push(this.#greet(message));
        continue;
      }
      const isInput = KINDS[message[0]!]!.input;
      if (isInput && this.#viewOnly) continue;
      input ||= isInput;
      passed.push(message);
    }
    this.#rest = Buffer.from(bytes);
    return { bytes: Buffer.concat(passed), input };
  }

  /** Length of what comes first in `bytes`; null while that cannot be told. */
  #nextLength(bytes: Buffer): number | null {
    if (this.#step === 'version') return VERSION.length;
    if (bytes.length === 0) return null;
    if (this.#step !== 'messages') return 1;
    const kind = KINDS[bytes[0]!];
    if (!kind) throw new RfbError(`a message of type ${bytes[0]}`);
    if (bytes.length < kind.head) return null;
    const length = kind.length(bytes);
    if (length > MESSAGE_BYTES_MAX) throw new RfbError(`a message of ${length} bytes`);
    return length;
  }

  /** The three messages before the others. One who looks must not push the others out, so everyone shares. */
  #greet(message: Buffer): Buffer {
    if (this.#step === 'version') {
      if (message.toString('latin1') !== VERSION) throw new RfbError('another version of RFB than 3.8');
      this.#step = 'security';
    } else if (this.#step === 'security') {
      if (message[0] !== SECURITY_NONE) throw new RfbError(`security type ${message[0]}`);
      this.#step = 'init';
    } else {
      this.#step = 'messages';
      return Buffer.from([SHARED]);
    }
    return message;
  }
}
