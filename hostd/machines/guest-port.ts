import type { EgressPolicy } from '../contract/egress.ts';
import type { CreateMachine } from '../contract/machines.ts';

/*
 * The seam between the machine lifecycle (hostd/machines) and everything that talks to the inside of a machine
 * (hostd/guest, hostd/egress). The lifecycle owns QEMU, QMP, the guest agent and the files; the guest side owns SSH and
 * what runs over it. Both sides hold no truth in memory: after hostd was killed, `attach` is called again for every
 * machine that is adopted.
 */

/** Quick calls without a handshake, answered by qemu-guest-agent. Each call has its own deadline and rejects with `guest_unreachable`. */
export interface GuestAgent {
  /** Runs a program in the guest as root and waits for it. Output is capped by the agent at 16 MiB; keep it small. */
  exec(
    argv: string[],
    options?: { timeoutMs?: number; stdin?: string },
  ): Promise<{ exitCode: number; stdout: string; stderr: string }>;
  /** Reads a small file (at most 64 KiB) of the guest. */
  readFile(path: string, timeoutMs?: number): Promise<string>;
}

/** What the guest side may know of a machine. Valid until `gone`. */
export type GuestMachine = {
  readonly machineId: string;
  /** Unix socket of the virtio-serial port on which the guest's `sshd -i` waits. QEMU serves one client at a time. */
  readonly sshSocketPath: string;
  readonly agent: GuestAgent;
  /** How this QEMU process came to be; `adopted` when it was found running after a start of hostd. */
  readonly origin: CreateMachine['source']['kind'] | 'adopted';
  /** Directory of this machine, 0700, that moves with nothing and is removed with it: small files of the guest side. */
  readonly dir: string;
  /** What `beforeSuspend` of the suspended machine returned; null on a cold boot and when there was nothing. */
  readonly carried: string | null;
  /** The policy the machine was created with or that of the last `setEgress`; null when this hostd was given none yet. */
  readonly egress: EgressPolicy | null;
};

/** Implemented by the guest side, called by the lifecycle. Calls for one machine never overlap, except `gone`. */
export interface GuestSide {
  /**
   * QEMU is up and its CPUs do not run yet (or the machine was adopted and runs). Connect the SSH socket and bind the egress
   * policy here, so that a resumed guest never sees its port disconnected. Must not wait for the guest.
   */
  attach(machine: GuestMachine): Promise<void>;
  /** The guest runs, its clock and identity are set. Resolves when SSH answered and the proxy is reachable inside. */
  ready(machine: GuestMachine): Promise<void>;
  /**
   * End SSH politely and leave a fresh `sshd -i` waiting; keep the socket connected. Never rejects and takes no longer than
   * `deadlineMs`. The string (under 1 KiB) is stored with the snapshot and handed back as `carried` to every machine made
   * from it: the banner that the waiting sshd has already sent.
   */
  beforeSuspend(machine: GuestMachine, deadlineMs: number): Promise<string | null>;
  /** QEMU is gone (suspended, deleted or crashed), or the suspend failed and `attach` follows. Drop everything. Never throws. */
  gone(machineId: string): void;
  /** A new policy takes effect for connections opened from now on. */
  egressChanged(machine: GuestMachine): void;
}
