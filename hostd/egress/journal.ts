import { appendFile, open, readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { type EgressFeedEntry, type EgressLogEntry, egressLogEntrySchema } from '../contract/egress.ts';
import { idSchema } from '../contract/machines.ts';
import type { Logger } from '../logger.ts';
import { writeAtomically } from '../storage/files.ts';

/*
 * Every decision of this host until the control plane has it: one file per machine, a line per decision. It outlives hostd and the
 * machine. Only what is in the file is offered to the control plane, so a number that it has seen is never given twice.
 */

/** Not yet collected, of one machine. Beyond it the machine's requests are refused: what cannot be logged does not happen. */
const UNCOLLECTED_MAX = 20_000;
/** Kept in memory after they were collected, for whoever looks at the host itself. */
const RECENT_MAX = 1_000;
const REWRITE_BYTES = 256 * 1024;
const RETRY_MS = 1_000;
/**
 * What nobody collected for so long is of a control plane that is gone. Longer than the control plane keeps its rows: a machine whose
 * numbers begin anew then meets none of its own.
 */
const ABANDONED_MS = 45 * 24 * 3_600_000;
const UNREADABLE = '.unreadable';
/** Where the numbers of a machine go on whose file cannot be read: beyond any that it can have got to. */
const SEQ_UNKNOWN = 1_000_000_000;

export type NewEntry = Omit<EgressLogEntry, 'seq' | 'at'>;

/** The log of one machine. */
export interface MachineJournal {
  /** Never throws. The entry has its place in the order from now on. */
  add(entry: NewEntry): void;
  /** The last ones with a higher number than `seq`, oldest first. */
  after(seq: number): EgressLogEntry[];
  readonly isFull: boolean;
}

type Book = {
  seq: number;
  recent: EgressLogEntry[];
  /** Oldest first; a prefix of it, up to `written`, is in the file. */
  uncollected: EgressLogEntry[];
  written: number;
  bytes: number;
  /** In the file, also those that were collected. */
  lines: number;
  /** Since the machine's log was full. */
  dropped: number;
  isTorn: boolean;
  live: boolean;
  /** One change of the file at a time. */
  work: Promise<void>;
  scheduled: boolean;
};

export class EgressJournal {
  readonly #dir: string;
  readonly #log: Logger;
  readonly #books: Map<string, Book>;
  #listeners = new Set<() => void>();

  private constructor(dir: string, log: Logger, books: Map<string, Book>) {
    this.#dir = dir;
    this.#log = log;
    this.#books = books;
  }

  /** Takes up what a former hostd wrote. */
  static async open(dir: string, log: Logger): Promise<EgressJournal> {
    const books = new Map<string, Book>();
    const keptAside = new Set<string>();
    for (const name of await readdir(dir)) {
      const machineId = name.replace(UNREADABLE, '').replace(/\.jsonl$/, '');
      const file = path.join(dir, name);
      if (!idSchema.safeParse(machineId).success || (await ageMs(file)) > ABANDONED_MS) {
        await rm(file, { force: true, recursive: true });
      } else if (name.endsWith(UNREADABLE)) {
        keptAside.add(machineId);
      } else {
        try {
          books.set(machineId, await readBook(file));
        } catch (error) {
          // One machine's log must not keep all others from running.
          log.error(
            { event: 'egress.unreadable', machineId, err: error },
            `a journal cannot be read: it is kept as *${UNREADABLE}`,
          );
          keptAside.add(machineId);
          await rename(file, file + UNREADABLE);
        }
      }
    }
    for (const machineId of keptAside)
      if (!books.has(machineId)) books.set(machineId, { ...newBook(), seq: SEQ_UNKNOWN, written: SEQ_UNKNOWN });
    return new EgressJournal(dir, log, books);
  }

  /** The machine is attached; its numbers go on where they were. */
  begin(machineId: string): MachineJournal {
    const book = this.#books.get(machineId) ?? newBook();
    book.live = true;
    this.#books.set(machineId, book);
    return {
      add: (entry) => this.#add(machineId, book, entry),
      after: (seq) => book.recent.filter((entry) => entry.seq > seq),
      get isFull() {
        return isFull(book);
      },
    };
  }

  /** The machine is gone; what it left stays until it was collected. */
  end(machineId: string): void {
    const book = this.#books.get(machineId);
    if (!book) return;
    book.live = false;
    book.recent = [];
    this.#tidy(machineId, book);
  }

  /** The oldest decisions that were not collected, `max` in all. */
  uncollected(max: number): EgressFeedEntry[] {
    const found: EgressFeedEntry[] = [];
    for (const [machineId, { uncollected, written }] of this.#books) {
      for (const entry of uncollected) {
        if (found.length >= max) return found;
        if (entry.seq <= written) found.push({ machineId, entry });
      }
    }
    return found;
  }

  /** The control plane has this machine's decisions up to and including `seq`. Safe to repeat. */
  collected(machineId: string, seq: number): void {
    const book = this.#books.get(machineId);
    if (!book) return;
    book.uncollected = book.uncollected.filter((entry) => entry.seq > seq);
    if (book.dropped > 0 && !isFull(book)) {
      const { dropped } = book;
      book.dropped = 0;
      this.#add(machineId, book, aboutDropped(dropped));
    }
    this.#tidy(machineId, book);
  }

  /** Calls back whenever there may be something new to collect, until the returned function is called. */
  onNews(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Everything added so far is in its file, or could not be written. */
  async settled(): Promise<void> {
    await Promise.all([...this.#books.values()].map(({ work }) => work));
  }

  #add(machineId: string, book: Book, entry: NewEntry): void {
    // What was let through before is written all the same: no more than is in flight.
    if (isFull(book) && entry.decision === 'deny' && entry.bytesUp + entry.bytesDown === 0) {
      book.dropped += 1;
      return;
    }
    book.seq += 1;
    const numbered = { ...entry, seq: book.seq, at: new Date().toISOString() };
    book.uncollected.push(numbered);
    book.recent.push(numbered);
    if (book.recent.length > RECENT_MAX) book.recent.shift();
    this.#write(machineId, book);
  }

  /** All that was added meanwhile goes into one write. */
  #write(machineId: string, book: Book): void {
    if (book.scheduled) return;
    book.scheduled = true;
    book.work = book.work.then(async () => {
      book.scheduled = false;
      const first = book.uncollected[0]?.seq ?? 0;
      const lines = book.uncollected.slice(Math.max(0, book.written - first + 1));
      const last = lines.at(-1);
      if (!last) return;
      // What a failed write may have left half must not be glued to a whole line.
      const text = (book.isTorn ? '\n' : '') + lines.map((line) => `${JSON.stringify(line)}\n`).join('');
      try {
        await appendFile(this.#file(machineId), text, { mode: 0o600 });
        book.bytes += text.length;
        book.lines += lines.length;
        book.written = last.seq;
        book.isTorn = false;
        for (const listener of this.#listeners) listener();
      } catch (error) {
        book.isTorn = true;
        this.#log.warn({ event: 'egress.not_written', machineId, err: error }, 'decisions wait in memory to be written');
        setTimeout(() => this.#write(machineId, book), RETRY_MS).unref();
      }
    });
  }

  /**
   * Takes what was collected from the disk: at once with a machine that is gone, with one that runs whenever most of a large file is.
   * The number stays also of one that is gone: the same machine may be taken up again.
   */
  #tidy(machineId: string, book: Book): void {
    if (!isWorthTidying(book)) return;
    book.work = book.work
      .then(async () => {
        if (!isWorthTidying(book)) return;
        const kept = book.uncollected.filter(({ seq }) => seq <= book.written);
        const text = [{ seq: book.written }, ...kept].map((line) => `${JSON.stringify(line)}\n`).join('');
        await writeAtomically(this.#file(machineId), text);
        book.bytes = text.length;
        book.lines = kept.length;
        book.isTorn = false;
      })
      .catch((error) => this.#log.warn({ event: 'egress.not_tidied', machineId, err: error }, 'a journal stays on the disk'));
  }

  #file(machineId: string): string {
    return path.join(this.#dir, `${machineId}.jsonl`);
  }
}

function newBook(): Book {
  const nothing = { seq: 0, written: 0, bytes: 0, lines: 0, dropped: 0, isTorn: false };
  return { ...nothing, recent: [], uncollected: [], live: false, work: Promise.resolve(), scheduled: false };
}

function isFull({ uncollected }: Book): boolean {
  return uncollected.length >= UNCOLLECTED_MAX;
}

function isWorthTidying({ live, bytes, lines, uncollected }: Book): boolean {
  if (!live) return uncollected.length === 0 && lines > 0;
  return bytes >= REWRITE_BYTES && uncollected.length * 2 <= lines;
}

/** One line for all that a machine asked while its log was full. */
function aboutDropped(count: number): NewEntry {
  return {
    decision: 'deny',
    reason: 'log_full',
    method: '',
    host: `${count} requests refused, not logged`,
    port: 0,
    path: null,
    status: null,
    bytesUp: 0,
    bytesDown: 0,
    rule: null,
    secrets: [],
  };
}

async function ageMs(file: string): Promise<number> {
  return Date.now() - (await stat(file)).mtimeMs;
}

/** A line that was cut by a crash was offered to nobody; its number is free. */
async function readBook(file: string): Promise<Book> {
  const book = newBook();
  await using handle = await open(file, 'a+');
  const { size } = await handle.stat();
  for await (const line of handle.readLines({ start: 0, autoClose: false })) {
    const value = parseLine(line);
    if (!value) continue;
    book.seq = Math.max(book.seq, value.seq);
    if (!('decision' in value)) continue;
    book.lines += 1;
    book.uncollected.push(value);
    // What is older was collected: no more than this ever waits.
    if (book.uncollected.length >= 2 * UNCOLLECTED_MAX) book.uncollected = book.uncollected.slice(-UNCOLLECTED_MAX);
  }
  // The next line must not be glued to a torn one.
  if (size > 0 && (await handle.read(Buffer.alloc(1), 0, 1, size - 1)).buffer[0] !== 0x0a) await handle.appendFile('\n');
  return { ...book, written: book.seq, bytes: size, recent: book.uncollected.slice(-RECENT_MAX) };
}

function parseLine(line: string): EgressLogEntry | { seq: number } | null {
  try {
    const value: unknown = JSON.parse(line);
    const entry = egressLogEntrySchema.safeParse(value);
    if (entry.success) return entry.data;
    const { seq } = value as { seq?: unknown };
    return typeof seq === 'number' ? { seq } : null;
  } catch {
    return null;
  }
}
