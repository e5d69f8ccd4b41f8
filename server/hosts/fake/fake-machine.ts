import { EventEmitter } from 'node:events';
import type { Activity, CreateMachine, Exec, ExecResult, MachineView, SnapshotView } from '../../../hostd/contract/machines.ts';

/**
 * A guest without a machine under it: files, a boot id and programs that are JavaScript. `programs` answers exec by the
 * name after `sh -c <script>` ($0), so a test states what the guest would say.
 */
export class FakeGuest extends EventEmitter {
  bootId: string;
  readonly files: Map<string, Buffer>;
  /** Whatever runs in it and must survive a suspend: held by reference, so resume gives back the same. */
  memory: Map<string, unknown>;

  constructor(bootId: string, files = new Map<string, Buffer>(), memory = new Map<string, unknown>()) {
    super();
    this.setMaxListeners(0);
    this.bootId = bootId;
    this.files = files;
    this.memory = memory;
  }

  append(path: string, bytes: Uint8Array | string) {
    this.files.set(path, Buffer.concat([this.files.get(path) ?? Buffer.alloc(0), Buffer.from(bytes)]));
    this.emit('appended', path);
  }
}

export type FakeProgram = (
  guest: FakeGuest,
  call: { args: string[]; stdin: string; machineId: string },
) => string | Promise<string>;

export type FakeMachine = {
  view: MachineView;
  created: CreateMachine;
  guest: FakeGuest;
  /** What it does by itself, grown by a test; the rest of an Activity is always nothing. */
  activity: Pick<Activity, 'cpuMs' | 'egressBytes'>;
};
export type FakeSnapshot = { view: SnapshotView; guest: FakeGuest };

export const execResult = (rest: Partial<ExecResult>): ExecResult => ({
  exitCode: 0,
  signal: null,
  timedOut: false,
  stdout: '',
  stderr: '',
  truncated: false,
  durationMs: 1,
  ...rest,
});

/** A program fails by throwing this. */
export class FakeExit extends Error {
  readonly exitCode: number;
  constructor(exitCode: number, stderr: string) {
    super(stderr);
    this.exitCode = exitCode;
  }
}

/** Runs what the guest was asked to run: the program of that name, `unknown` when there is none. */
export async function runProgram(programs: Map<string, FakeProgram>, machine: FakeMachine, exec: Exec): Promise<ExecResult> {
  const named = exec.argv[0] === 'sh' && exec.argv[1] === '-c';
  const name = (named ? exec.argv[3] : exec.argv[0]) ?? '';
  const program = programs.get(name);
  if (!program) return execResult({ exitCode: 127, stderr: `fake guest: no program ${name}` });
  const args = exec.argv.slice(named ? 4 : 1);
  try {
    const stdout = await program(machine.guest, { args, stdin: exec.stdin ?? '', machineId: machine.view.machineId });
    return execResult({ stdout });
  } catch (error) {
    if (error instanceof FakeExit) return execResult({ exitCode: error.exitCode, stderr: error.message });
    throw error;
  }
}
