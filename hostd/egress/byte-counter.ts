import { Transform, type TransformCallback } from 'node:stream';

export class TooLargeError extends Error {}

/** Passes bytes on at once, counts them, tells `moved` of each piece, and fails beyond `max`. */
export class ByteCounter extends Transform {
  bytes = 0;
  readonly #max: number;
  readonly #moved: (bytes: number) => void;

  constructor(max: number, moved: (bytes: number) => void) {
    super();
    this.#max = max;
    this.#moved = moved;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.bytes += chunk.length;
    this.#moved(chunk.length);
    if (this.bytes > this.#max) done(new TooLargeError(`more than ${this.#max} bytes`));
    else done(null, chunk);
  }
}
