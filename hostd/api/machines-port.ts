import type { EgressPolicy } from '../contract/egress.ts';
import type {
  CheckpointMachine,
  CheckpointResult,
  CreateMachine,
  HostView,
  MachineView,
  RewindMachine,
  SnapshotView,
  SuspendMachine,
  SuspendResult,
} from '../contract/machines.ts';
import type { Collect, Collected, FetchSnapshot, Replicate, StoreKeyInput } from '../contract/replicas.ts';

/** What the API needs of the machine lifecycle. Every method rejects with HostdError; ids and bodies are already parsed. */
export interface MachinesPort {
  host(): Promise<Omit<HostView, 'images'>>;
  list(): Promise<MachineView[]>;
  get(machineId: string): Promise<MachineView>;
  create(machineId: string, input: CreateMachine): Promise<MachineView>;
  remove(machineId: string, lease: number): Promise<void>;
  suspend(machineId: string, input: SuspendMachine): Promise<SuspendResult>;
  checkpoint(machineId: string, input: CheckpointMachine): Promise<CheckpointResult>;
  rewind(machineId: string, input: RewindMachine): Promise<MachineView>;
  /** Stores the policy, then calls `egressChanged` of the guest side. */
  setEgress(machineId: string, policy: EgressPolicy): Promise<void>;
  /** CPU time its process has used; 0 once it is gone. */
  cpuMs(machineId: string): Promise<number>;
  /** The last CONSOLE_BYTES_MAX bytes. */
  console(machineId: string): Promise<string>;
  snapshots(): Promise<SnapshotView[]>;
  snapshot(snapshotId: string): Promise<SnapshotView>;
  removeSnapshot(snapshotId: string): Promise<void>;
  replicate(snapshotId: string, input: Replicate): Promise<SnapshotView>;
  fetchSnapshot(snapshotId: string, input: FetchSnapshot): Promise<SnapshotView>;
  evict(snapshotId: string, key: StoreKeyInput): Promise<SnapshotView>;
  collect(input: Collect): Promise<Collected>;
}
