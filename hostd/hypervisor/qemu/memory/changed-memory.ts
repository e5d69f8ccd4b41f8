import { closeSync, fstatSync, openSync, readFileSync, readSync, writeSync } from 'node:fs';
import { findMappings, type Mapping } from './mapping.ts';
import { changedRuns, ENTRY_BYTES, PAGE_BYTES } from './pagemap.ts';

/*
 * Moves what a machine has written to its memory from its process into a clone of the file that it maps. Everything here is
 * synchronous, because threads of their own run it: thousands of small writes through the event loop would cost more than the
 * copying. The machine stands still while its memory is read.
 */

/** Pages looked up at once, and the piece in which threads share the work: 32 MiB of memory. */
const WINDOW_PAGES = 8 * 1024;
/** Bytes moved at once. */
const PIECE_BYTES = 4 * 1024 * 1024;
/** Held at most by a thread in memory of our own between `grab` and `store`; what is beyond goes to the file at once. */
const HELD_BYTES_MAX = 512 * 1024 * 1024;
const ZEROS = Buffer.alloc(PAGE_BYTES);

export type Source = {
  pid: number;
  /** The file that is mapped. */
  base: string;
  /** A clone of it, which becomes the memory of the snapshot. */
  to: string;
  /** Of `of` threads that share the work this is number `index`. */
  part: { index: number; of: number };
};

/** In pages: written to since the machine was started, of these only zeros, and of these not zero in the base. */
export type Copied = { changed: number; zero: number; zeroed: number };

type Piece = { address: number; offset: number; bytes: number };

export class ChangedMemory {
  readonly #fds: number[] = [];
  readonly #mappings: Mapping[];
  readonly #part: Source['part'];
  readonly #pagemap: number;
  readonly #memory: number;
  /** Null when it holds nothing but zeros. */
  readonly #base: number | null;
  readonly #to: number;
  readonly #copied: Copied = { changed: 0, zero: 0, zeroed: 0 };
  readonly #scratch = Buffer.allocUnsafe(PIECE_BYTES);
  /** Rooms of PIECE_BYTES, filled in turn by `grab`. */
  readonly #rooms: Buffer[] = [];
  /** What was grabbed, in the rooms. */
  #held: { offset: number; bytes: Buffer }[] = [];

  constructor({ pid, base, to, part }: Source) {
    try {
      const from = this.#open(base, 'r');
      const { ino, size, blocks } = fstatSync(from);
      this.#mappings = findMappings(readFileSync(`/proc/${pid}/maps`, 'utf8'), ino, size);
      this.#part = part;
      this.#pagemap = this.#open(`/proc/${pid}/pagemap`, 'r');
      this.#memory = this.#open(`/proc/${pid}/mem`, 'r');
      this.#base = blocks === 0 ? null : from;
      this.#to = this.#open(to, 'r+');
    } catch (error) {
      this.close();
      throw error;
    }
  }

  #open(file: string, flags: string): number {
    const fd = openSync(file, flags);
    this.#fds.push(fd);
    return fd;
  }

  close(): void {
    for (const fd of this.#fds.splice(0)) closeSync(fd);
    this.#held = [];
    // A thread that has nothing more to do collects no garbage, and would keep up to HELD_BYTES_MAX.
    for (const room of [this.#scratch, ...this.#rooms.splice(0)]) giveBack(room);
  }

  /** Straight into the file. */
  copy(): Copied {
    for (const piece of this.#pieces()) this.#store(this.#read(piece, this.#scratch), piece.offset);
    return this.#copied;
  }

  /**
   * Makes room for what is changed now, while the machine still runs: memory that is touched for the first time costs the kernel
   * more than the copying.
   */
  makeRoom(): void {
    let bytes = 0;
    for (const piece of this.#pieces()) bytes += piece.bytes;
    // What the machine changes until it is stopped.
    for (bytes = Math.min(bytes + 2 * PIECE_BYTES, HELD_BYTES_MAX); bytes > 0; bytes -= PIECE_BYTES) {
      this.#rooms.push(Buffer.alloc(PIECE_BYTES).fill(1));
    }
  }

  /** Into memory of our own, which takes a fraction of the time that the file would. */
  grab(): void {
    let [next, at, heldBytes] = [0, 0, 0];
    for (const piece of this.#pieces()) {
      if (heldBytes + piece.bytes > HELD_BYTES_MAX) {
        this.#store(this.#read(piece, this.#scratch), piece.offset);
        continue;
      }
      for (let done = 0; done < piece.bytes; ) {
        if (next === this.#rooms.length) this.#rooms.push(Buffer.allocUnsafe(PIECE_BYTES));
        const room = this.#rooms[next]!;
        const bytes = Math.min(piece.bytes - done, PIECE_BYTES - at);
        const part = { address: piece.address + done, offset: piece.offset + done, bytes };
        this.#held.push({ offset: part.offset, bytes: this.#read(part, room.subarray(at)) });
        [done, at, heldBytes] = [done + bytes, at + bytes, heldBytes + bytes];
        if (at === PIECE_BYTES) [next, at] = [next + 1, 0];
      }
    }
  }

  /** What was grabbed, into the file. */
  store(): Copied {
    for (const { offset, bytes } of this.#held) this.#store(bytes, offset);
    return this.#copied;
  }

  *#pieces(): Generator<Piece> {
    let window = 0;
    const table = Buffer.allocUnsafe(WINDOW_PAGES * ENTRY_BYTES);
    for (const { start, bytes, offset } of this.#mappings) {
      for (let first = 0; first < bytes; first += WINDOW_PAGES * PAGE_BYTES) {
        if (window++ % this.#part.of !== this.#part.index) continue;
        const pages = Math.min(WINDOW_PAGES, (bytes - first) / PAGE_BYTES);
        const entries = table.subarray(0, pages * ENTRY_BYTES);
        readFully(this.#pagemap, entries, ((start + first) / PAGE_BYTES) * ENTRY_BYTES);
        for (const { page, count } of changedRuns(entries)) {
          for (let done = 0; done < count * PAGE_BYTES; done += PIECE_BYTES) {
            const at = first + page * PAGE_BYTES + done;
            yield { address: start + at, offset: offset + at, bytes: Math.min(PIECE_BYTES, count * PAGE_BYTES - done) };
          }
        }
      }
    }
  }

  #read({ address, bytes }: Piece, into: Buffer): Buffer {
    const part = into.subarray(0, bytes);
    readFully(this.#memory, part, address);
    return part;
  }

  /** Writes the stretches that hold something, and zeros only where the base does not read as zeros already. */
  #store(bytes: Buffer, offset: number): void {
    let stretch = 0;
    const write = (end: number) => {
      if (end > stretch) writeFully(this.#to, bytes.subarray(stretch, end), offset + stretch);
    };
    this.#copied.changed += bytes.length / PAGE_BYTES;
    for (let page = 0; page < bytes.length; page += PAGE_BYTES) {
      if (!isZero(bytes, page)) continue;
      this.#copied.zero += 1;
      if (this.#base !== null && !isZeroIn(this.#base, offset + page)) {
        this.#copied.zeroed += 1;
        continue;
      }
      write(page);
      stretch = page + PAGE_BYTES;
    }
    write(bytes.length);
  }
}

/** At once, not when garbage is collected. The buffer is empty afterwards; safe to repeat. */
function giveBack(buffer: Buffer): void {
  if (buffer.length > 0) (buffer.buffer as ArrayBuffer).transfer(0);
}

function isZero(bytes: Buffer, at: number): boolean {
  return bytes.compare(ZEROS, 0, PAGE_BYTES, at, at + PAGE_BYTES) === 0;
}

const basePage = Buffer.allocUnsafe(PAGE_BYTES);
function isZeroIn(fd: number, at: number): boolean {
  readFully(fd, basePage, at);
  return isZero(basePage, 0);
}

function readFully(fd: number, into: Buffer, position: number): void {
  for (let done = 0; done < into.length; ) {
    const count = readSync(fd, into, done, into.length - done, position + done);
    if (count === 0) throw new Error(`nothing to read at ${position + done}`);
    done += count;
  }
}

function writeFully(fd: number, bytes: Buffer, position: number): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done, bytes.length - done, position + done);
}
