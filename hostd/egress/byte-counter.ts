import { Transform, type TransformCallback } from 'node:stream';

export class TooLargeError extends Error {}

/** Passes bytes on at once, counts them, and fails beyond `max`. */
export class ByteCounter extends Transform {
  bytes = 0;
  readonly #max: number;

  constructor(max: number) {
    super();
    this.#max = max;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.bytes += chunk.length;
    if (this.bytes > this.#max) done(new TooLargeError(`more than ${this.#max} bytes`));
    else done(null, chunk);
  }
}
