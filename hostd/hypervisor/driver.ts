import type { Accelerator } from '../contract/machines.ts';
import type { GuestAgent } from '../machines/guest-port.ts';

/*
 * The port between the machine lifecycle and a hypervisor. Specs are plain data. A virtual machine passes through
 * start -> load (only when it restores) -> run -> save -> quit; each step is a call of its own, because the lifecycle has
 * work to do between them. The process outlives hostd: `adopt` takes it up again.
 */

/** What a saved state depends on; compared before a restore. */
export type Platform = { accelerator: Accelerator; qemuVersion: string; machineType: string; cpuModel: string };

/** A process, told apart from a later one with the same pid by its start time in clock ticks since boot. */
export type ProcessRef = { pid: number; startTimeTicks: string };

export type VmSpec = {
  /** Names the process in listings; sockets are in a directory of this name. */
  machineId: string;
  memoryMiB: number;
  vcpus: number;
  /** Of the machine's size and mapped privately: its bytes are what the machine starts from, and are never written. */
  memoryPath: string;
  diskPath: string;
  /** QEMU's own messages. Truncated by the lifecycle when it grows beyond its cap. */
  logPath: string;
  /** Private directory for the sockets; made by the driver. */
  socketDir: string;
  machineType: string;
  cpuModel: string;
  /** Cold boot of a kernel, or nothing loaded until `load`. */
  begin: { kind: 'boot'; kernelPath: string; initrdPath: string } | { kind: 'restore' };
};

/** A process that waits to become a machine of this size. */
export type SpareSpec = Pick<VmSpec, 'memoryMiB' | 'vcpus' | 'logPath' | 'socketDir' | 'machineType' | 'cpuModel'> & {
  spareId: string;
  /** Directory that it sees, in which the machine's files get a second name. Made by the driver, on the file system of both. */
  dir: string;
  /** The largest disk it may get. */
  diskBytes: number;
};

export interface Spare {
  readonly process: ProcessRef;
  /** Ends it, if it has not become a machine. */
  discard(): Promise<void>;
}

/** What is needed to take up a running process again. */
export type VmRef = Pick<VmSpec, 'machineId' | 'socketDir' | 'logPath'> & { process: ProcessRef };

/** What is needed to take back what a machine held. */
/** `machineId` is the spare's id for a machine that was one. */
export type VmPlace = Pick<VmSpec, 'machineId' | 'socketDir'> & { files: readonly string[] };

/** Where a machine's state goes. */
export type SaveTo = {
  /** Not there yet. */
  deviceState: string;
  /** A clone of `memoryPath`, into which goes what was changed. Made beforehand: it takes the longer, the newer the original. */
  memory: string;
  /** The machine's own. */
  memoryPath: string;
};

export type Saved = {
  sha256: string;
  bytes: number;
  /** Of the memory, what differs from the file it started from; as much is stored. */
  changedBytes: number;
  /** Of the memory, what was turned to zeros: stored as zeros, which a hole could stand for. */
  zeroedBytes: number;
};

export type RunState = 'running' | 'paused' | 'empty' | 'ended';

export type Exit = { reason: string };

export interface Vm {
  readonly process: ProcessRef;
  readonly sshSocketPath: string;
  readonly agent: VmAgent;
  /** Settles once the process is gone or the guest has ended itself (then `kill` is due). Not after `release`. Never rejects. */
  readonly exited: Promise<Exit>;
  runState(): Promise<RunState>;
  /** The host's disk had no room for what the guest wrote. It stands still, nothing is lost, and `run` lets it try again. */
  readonly isStalled: boolean;
  /** Loads a saved device state. @throws `incompatible` when its bytes are not those that were saved or are refused */
  load(state: { path: string; sha256: string }): Promise<void>;
  /** Lets the CPUs run. */
  run(): Promise<void>;
  /**
   * Stops the CPUs and writes device state and memory. The disk file is complete when this resolves. On failure the CPUs run
   * again and nothing is left behind. @throws `disk_full` or `internal`
   */
  save(to: SaveTo): Promise<Saved>;
  /**
   * Like `save`, and lets the CPUs run again as soon as device state and changed memory are out of the process. `whileStopped` is
   * waited for in between. @throws like `save`
   */
  checkpoint(to: SaveTo, whileStopped: () => Promise<void>): Promise<Saved & { stoppedMs: number }>;
  /** Ends the process and waits until it is gone from the process table. Safe to repeat. */
  kill(): Promise<void>;
  /** What the guest wrote to its console since the last call; at most 256 KiB are kept in between. */
  drainConsole(): Promise<string>;
  /** Closes connections and leaves the process alone. */
  release(): void;
}

export interface VmAgent extends GuestAgent {
  /** Resolves at the guest's first answer. @throws `guest_unreachable` at the deadline */
  ping(deadlineMs: number): Promise<void>;
  /** Sets the guest's clock and reads it back. @throws `guest_unreachable` when it stays off by more than a second */
  setClock(epochMs: number): Promise<void>;
  /** Overwrites a file, keeping its mode. Not atomic: for a guest that nobody uses yet. */
  writeFile(path: string, text: string): Promise<void>;
}

export interface Driver {
  readonly platform: Platform;
  /**
   * Starts a process that holds the machine, CPUs stopped.
   *
   * @param spare becomes the machine instead of a new process. It was made for this size, and the spec has its `socketDir`
   * @throws `missing_dependency` or `internal` with the output's tail. A spare is ended then, and not vacated
   */
  start(spec: VmSpec, spare?: Spare): Promise<Vm>;
  makeSpare(spec: SpareSpec): Promise<Spare>;
  /** @returns null when that process is gone. @throws `internal` when it lives and does not answer */
  adopt(ref: VmRef): Promise<Vm | null>;
  isAlive(process: ProcessRef): Promise<boolean>;
  /** CPU time of all its threads, user and system, in milliseconds; 0 once it is gone. */
  cpuMs(process: ProcessRef): Promise<number>;
  /** Ends a process that was started for this machine by a hostd that died before it wrote down its pid. */
  killUnrecorded(socketDir: string): Promise<void>;
  /** Takes back what a machine held of the host beside its process, which is gone: its user id, its files, its cgroup. Safe to repeat. */
  vacate(place: VmPlace): Promise<void>;
}
