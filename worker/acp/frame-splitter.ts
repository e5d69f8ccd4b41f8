/** The SDK's cap on one message; an agent that exceeds it is broken, and the line is skipped rather than held in memory. */
export const FRAME_BYTES_MAX = 33_554_432;

/** `endOffset` is the byte offset just past the line's newline: the place to read on from, and the frame's key. */
export type Line = { kind: 'line'; endOffset: number; text: string } | { kind: 'oversized'; endOffset: number; bytes: number };

const NEWLINE = 0x0a;

/**
 * Cuts an agent's stdout into lines, knowing where in the file each one ends. Holds at most one unfinished line of
 * FRAME_BYTES_MAX bytes. Reading again from any `endOffset` gives exactly the lines that follow it.
 */
export class FrameSplitter {
  private readonly maxBytes: number;
  private readonly decoder = new TextDecoder();
  private pending: Uint8Array[] = [];
  private pendingBytes = 0;
  private offset: number;

  constructor(startOffset: number, maxBytes = FRAME_BYTES_MAX) {
    this.offset = startOffset;
    this.maxBytes = maxBytes;
  }

  /** Lines completed by these bytes, in order; blank ones are left out. */
  push(bytes: Uint8Array): Line[] {
    const lines: Line[] = [];
    let from = 0;
    for (let at = bytes.indexOf(NEWLINE); at !== -1; at = bytes.indexOf(NEWLINE, from)) {
      this.keep(bytes.subarray(from, at));
      from = at + 1;
      this.offset += this.pendingBytes + 1;
      const line = this.take();
      if (line) lines.push(line);
    }
    this.keep(bytes.subarray(from));
    return lines;
  }

  private keep(bytes: Uint8Array) {
    this.pendingBytes += bytes.byteLength;
    if (this.pendingBytes > this.maxBytes) this.pending = [];
    else if (bytes.byteLength > 0) this.pending.push(bytes);
  }

  private take(): Line | null {
    const bytes = this.pendingBytes;
    const text = bytes > this.maxBytes ? null : this.decoder.decode(Buffer.concat(this.pending)).trim();
    this.pending = [];
    this.pendingBytes = 0;
    if (text === null) return { kind: 'oversized', endOffset: this.offset, bytes };
    return text === '' ? null : { kind: 'line', endOffset: this.offset, text };
  }
}
