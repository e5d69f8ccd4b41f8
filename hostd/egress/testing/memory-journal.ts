import type { EgressLogEntry } from '../../contract/egress.ts';
import type { MachineJournal } from '../journal.ts';

/** The log of one machine without a disk under it. */
export function memoryJournal(): MachineJournal {
  const entries: EgressLogEntry[] = [];
  return {
    add: (entry) => void entries.push({ ...entry, seq: entries.length + 1, at: new Date().toISOString() }),
    after: (seq) => entries.filter((entry) => entry.seq > seq),
    isFull: false,
  };
}
