import type { NewEntry } from './journal.ts';

const PATH_CHARACTERS_MAX = 200;
const HOST_CHARACTERS_MAX = 253;
const METHOD_CHARACTERS_MAX = 20;

/** Names, paths without query and counts; never headers or bodies. A hostile guest chooses these texts, and people read them in terminals. */
export function toLogEntry(entry: NewEntry): NewEntry {
  return {
    ...entry,
    host: printable(entry.host).slice(0, HOST_CHARACTERS_MAX),
    path: entry.path === null ? null : printable(entry.path).slice(0, PATH_CHARACTERS_MAX),
    method: printable(entry.method).slice(0, METHOD_CHARACTERS_MAX),
  };
}

function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?');
}
