import { parentPort } from 'node:worker_threads';
import { ChangedMemory, type Copied, type Source } from './changed-memory.ts';

/* The body of a thread that copies memory; see copier.ts. */

export type Task = { id: number } & (
  | { do: 'copy'; source: Source }
  | { do: 'open'; key: number; source: Source }
  | { do: 'grab' | 'store' | 'close'; key: number }
);
/** An error's code would not survive the way as a property of an Error. */
export type Outcome = { id: number } & ({ copied: Copied | null } | { failed: { message: string; code: string | undefined } });

const open = new Map<number, ChangedMemory>();

function run(task: Task): Copied | null {
  if (task.do === 'copy') {
    const memory = new ChangedMemory(task.source);
    try {
      return memory.copy();
    } finally {
      memory.close();
    }
  }
  if (task.do === 'open') {
    const memory = new ChangedMemory(task.source);
    open.set(task.key, memory);
    memory.makeRoom();
    return null;
  }
  const memory = open.get(task.key);
  if (task.do === 'close') {
    open.delete(task.key);
    memory?.close();
    return null;
  }
  if (!memory) throw new Error('this memory is not open');
  if (task.do === 'store') return memory.store();
  memory.grab();
  return null;
}

parentPort?.on('message', (task: Task) => {
  const answer = (outcome: Outcome) => parentPort?.postMessage(outcome);
  try {
    answer({ id: task.id, copied: run(task) });
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException;
    answer({ id: task.id, failed: { message, code } });
  }
});
