import type { EgressLogEntry } from '../contract/egress.ts';

const ENTRIES_MAX = 1_000;
const PATH_CHARACTERS_MAX = 200;
const HOST_CHARACTERS_MAX = 253;

export type NewEgressLogEntry = Omit<EgressLogEntry, 'seq' | 'at'>;

/**
 * The last decisions about one machine's ways out, in memory; each is written when its exchange ends. Holds names, paths
 * without query and byte counts, never headers or bodies.
 */
export class EgressLog {
  #entries: EgressLogEntry[] = [];
  #seq = 0;

  add(entry: NewEgressLogEntry): void {
    this.#seq += 1;
    this.#entries.push({
      ...entry,
      host: printable(entry.host).slice(0, HOST_CHARACTERS_MAX),
      path: entry.path === null ? null : printable(entry.path).slice(0, PATH_CHARACTERS_MAX),
      method: printable(entry.method).slice(0, 20),
      seq: this.#seq,
      at: new Date().toISOString(),
    });
    if (this.#entries.length > ENTRIES_MAX) this.#entries.shift();
  }

  /** Entries with a higher number than `seq`, oldest first. */
  after(seq: number): EgressLogEntry[] {
    return this.#entries.filter((entry) => entry.seq > seq);
  }
}

/** A hostile guest chooses these texts, and people read them in terminals. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?');
}
