import { z } from 'zod';
import { egressPolicySchema } from './egress.ts';
import { imageVariantSchema, imageViewSchema } from './images.ts';
import { DURABILITIES, replicateSchema, replicationViewSchema, replicaViewSchema } from './replicas.ts';

/*
 * The wire contract of hostd: JSON over HTTP on a private address, `Authorization: Bearer <token>`.
 * Replies are `{ok:true,value}` or `{ok:false,error}` (errors.ts) unless a route says that it streams.
 * hostd knows machines, snapshots, files and bytes. It knows nothing of tenants, git or agents.
 *
 *   GET    /v1/host                              HostView
 *   GET    /v1/machines                          MachineView[]
 *   GET    /v1/machines/:machineId               MachineView
 *   PUT    /v1/machines/:machineId               CreateMachine  -> MachineView        (safe to repeat)
 *   DELETE /v1/machines/:machineId?lease=N       kills it, removes its files          (safe to repeat)
 *   POST   /v1/machines/:machineId/suspend       SuspendMachine -> SuspendResult      (safe to repeat)
 *                                                an exited machine, or one told to drop its memory, becomes a snapshot
 *                                                of its disk alone, for `disk` sources
 *   POST   /v1/machines/:machineId/checkpoint    CheckpointMachine -> CheckpointResult (safe to repeat; the machine runs on)
 *   POST   /v1/machines/:machineId/rewind        RewindMachine  -> MachineView        the machine goes on from an earlier snapshot
 *                                                of itself; what it is now is lost, and when it fails there is no machine left
 *   PUT    /v1/machines/:machineId/egress        SetEgress      -> {}
 *   GET    /v1/machines/:machineId/egress-log    ?after=seq     -> EgressLogEntry[]
 *   GET    /v1/egress-feed                       ?waitMs&max    -> EgressFeed         (waits for news up to waitMs)
 *   POST   /v1/egress-feed/collected             EgressCollected -> {}                (safe to repeat)
 *   POST   /v1/machines/:machineId/exec          Exec           -> ExecResult
 *   POST   /v1/machines/:machineId/write         WriteBytes     -> {}                 (files and FIFOs)
 *   GET    /v1/machines/:machineId/tail          ?path&offset   -> octet stream, follows the file until the machine ends
 *   GET    /v1/machines/:machineId/files         ?path          -> FileEntry[]        (one directory)
 *   GET    /v1/machines/:machineId/file          ?path          -> octet stream, at most FILE_BYTES_MAX
 *   PUT    /v1/machines/:machineId/file          ?path          <- octet stream, at most FILE_BYTES_MAX
 *   GET    /v1/machines/:machineId/activity      Activity       (what still works inside: idle decisions)
 *   GET    /v1/machines/:machineId/console       -> text, the last CONSOLE_BYTES_MAX bytes
 *   WS     /v1/machines/:machineId/pty           ?name&user&cwd&cols&rows  binary frames = bytes, text frames = PtyControl
 *   WS     /v1/machines/:machineId/desktop       ?viewOnly=0|1  binary frames = RFB 3.8 (VNC); viewOnly drops the client's input
 *   GET    /v1/images                            ImageView[]    (images.ts)
 *   PUT    /v1/images/:variant                   -> ImageView   starts a build unless it is ready or building (safe to repeat)
 *   GET    /v1/snapshots                         SnapshotView[]
 *   DELETE /v1/snapshots/:snapshotId             (safe to repeat)
 *   more on snapshots: replicas.ts
 */

export const ACCELERATORS = ['kvm', 'tcg'] as const;
export type Accelerator = (typeof ACCELERATORS)[number];

export const FILE_BYTES_MAX = 2 * 1024 * 1024;
export const CONSOLE_BYTES_MAX = 256 * 1024;
export const EXEC_OUTPUT_BYTES_MAX = 1024 * 1024;

/** Ids name directories and sockets, so the alphabet is closed. */
export const idSchema = z.string().regex(/^[a-z]{3}_[a-z0-9]{10,40}$/);

export const machineSourceSchema = z.discriminatedUnion('kind', [
  /** Cold boot of the host's current image of that variant, `base` when absent. `missing_dependency` when it is not built. */
  z.object({ kind: z.literal('image'), variant: imageVariantSchema.optional() }),
  /** Same machine goes on where it was: machine id, host keys and processes stay. */
  z.object({ kind: z.literal('resume'), snapshotId: idSchema }),
  /** New machine from the same memory and disk: machine id, host keys, hostname and RNG are replaced. */
  z.object({ kind: z.literal('fork'), snapshotId: idSchema }),
  /** Boot from the snapshot's disk only; its memory is dropped. */
  z.object({ kind: z.literal('disk'), snapshotId: idSchema }),
]);
export type MachineSource = z.infer<typeof machineSourceSchema>;

/** What a machine is made from and how large it is. Asked again, the machine that is there stays as it is. */
export const createMachineSchema = z.object({
  /** Fencing number; hostd refuses a verb that carries a lower one than it has seen for this machine. */
  lease: z.number().int().min(1),
  source: machineSourceSchema,
  /** Ignored for `resume` and `fork`: the snapshot decides. */
  memoryMiB: z.number().int().min(256).max(65536).default(1024),
  vcpus: z.number().int().min(1).max(32).default(1),
  diskGiB: z.number().int().min(2).max(500).default(8),
  hostname: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,40}$/)
    .default('warren'),
  egress: egressPolicySchema,
});
export type CreateMachine = z.infer<typeof createMachineSchema>;

/** `starting` until the guest answered once; `exited` when QEMU is gone without a suspend or delete (crash, host reboot). */
export const MACHINE_STATES = ['starting', 'running', 'suspending', 'exited'] as const;

export const machineViewSchema = z.object({
  machineId: idSchema,
  lease: z.number().int(),
  state: z.enum(MACHINE_STATES),
  source: machineSourceSchema,
  accelerator: z.enum(ACCELERATORS),
  /** QEMU's process on the host; null once it is gone. pid and start time (clock ticks since boot) together name it. */
  process: z.object({ pid: z.number().int(), startTimeTicks: z.string() }).nullable(),
  /** `/proc/sys/kernel/random/boot_id` as read in the guest; null until it answered. */
  bootId: z.string().nullable(),
  memoryMiB: z.number().int(),
  vcpus: z.number().int(),
  createdAt: z.iso.datetime(),
  /** Milliseconds from the request to each named step, in order: `qemu`, `loaded` (resume, fork), `running`, `guest`, `ssh` (cold boots). */
  timingsMs: z.record(z.string(), z.number()),
  /** Why it is `exited`: cause and the tail of QEMU's output. */
  exitReason: z.string().nullable(),
  /** Why a `running` machine stands still and what ends that; null while it does not. Nothing of it is lost. */
  stalled: z.string().nullable().default(null),
});
export type MachineView = z.infer<typeof machineViewSchema>;

export const suspendMachineSchema = z.object({
  lease: z.number().int().min(1),
  snapshotId: idSchema,
  /** `drop` ends QEMU where it stands and keeps the disk alone: for a machine that cannot be put to sleep. */
  memory: z.enum(['keep', 'drop']).default('keep'),
  /** Begin to copy the snapshot into the object store. Left aside on a host that has none. */
  replicate: replicateSchema.optional(),
});
export type SuspendMachine = z.input<typeof suspendMachineSchema>;

/** The snapshot's id is new. Its memory, device state and disk are of one moment. */
export const checkpointMachineSchema = z.object({ lease: z.number().int().min(1), snapshotId: idSchema });
export type CheckpointMachine = z.infer<typeof checkpointMachineSchema>;

/** An earlier snapshot of this machine: a checkpoint, or the suspend it was resumed from. */
export const rewindMachineSchema = checkpointMachineSchema;
export type RewindMachine = z.infer<typeof rewindMachineSchema>;

export const guestProcessSchema = z.object({
  pid: z.number().int(),
  startTimeTicks: z.string(),
  user: z.string(),
  command: z.string(),
});

/** Written last into the snapshot's directory: a snapshot without it does not exist. */
export const snapshotManifestSchema = z.object({
  schemaVersion: z.literal(1),
  snapshotId: idSchema,
  machineId: idSchema,
  parentSnapshotId: idSchema.nullable(),
  imageId: z.string(),
  qemuVersion: z.string(),
  machineType: z.string(),
  cpuModel: z.string(),
  accelerator: z.enum(ACCELERATORS),
  memoryMiB: z.number().int(),
  vcpus: z.number().int(),
  bootId: z.string().nullable(),
  /** What ran when it was suspended, kernel threads left out; at most 200 rows. Null when the guest did not say in time. */
  processes: z.array(guestProcessSchema).nullable(),
  /** TCP ports something listened on; null like `processes`. */
  listening: z.array(z.number().int()).nullable(),
  deviceStateSha256: z.string(),
  /** `migration`: of releases that kept memory as a shared file, which this one cannot load. Null without memory. */
  stateFormat: z.enum(['migration', 'devices']).nullable().default('migration'),
  /** Bytes of memory that differ from the parent's, or from zeros where there is none: what this snapshot alone stores. */
  changedMemoryBytes: z.number().int().nullable().default(null),
  files: z.record(z.string(), z.object({ bytes: z.number().int() })),
  createdAt: z.iso.datetime(),
});
export type SnapshotManifest = z.infer<typeof snapshotManifestSchema>;

/** False for a snapshot of a disk alone: it can be started from (`disk`), not resumed. */
export function holdsMemory({ deviceStateSha256 }: Pick<SnapshotManifest, 'deviceStateSha256'>): boolean {
  return deviceStateSha256 !== '';
}

/** A snapshot as this host has it, and what there is of it in the object store. */
export const snapshotViewSchema = z.object({
  snapshotId: idSchema,
  manifest: snapshotManifestSchema,
  /** Bytes allocated on disk, shared blocks counted in full. */
  storedBytes: z.number().int(),
  /** `local`: on this host's disk alone. `replicated`: whole in the object store as well. */
  durability: z.enum(DURABILITIES),
  /** False once this host's files were evicted: fetch it before it is resumed. */
  here: z.boolean(),
  /** Null while it is `local`. */
  replica: replicaViewSchema.nullable(),
  /** A copy being made, or why the last try failed; null when neither. */
  replication: replicationViewSchema.nullable(),
});
export type SnapshotView = z.infer<typeof snapshotViewSchema>;

export const suspendResultSchema = z.object({
  snapshot: snapshotViewSchema,
  /** From the request to QEMU gone from the process table. */
  releasedMs: z.number(),
  /** QEMU's process was looked for after the suspend and was not there. */
  processGone: z.boolean(),
});
export type SuspendResult = z.infer<typeof suspendResultSchema>;

export const checkpointResultSchema = z.object({
  snapshot: snapshotViewSchema,
  /** For how long the CPUs stood still; null for a checkpoint that was there already. */
  stoppedMs: z.number().nullable(),
});
export type CheckpointResult = z.infer<typeof checkpointResultSchema>;

export const execSchema = z.object({
  /** Run as given, no shell. */
  argv: z.array(z.string().max(100_000)).min(1).max(200),
  cwd: z.string().optional(),
  env: z.record(z.string(), z.string()).default({}),
  /** Guest user. */
  user: z.enum(['agent', 'root']).default('agent'),
  stdin: z
    .string()
    .max(8 * 1024 * 1024)
    .optional(),
  timeoutMs: z.number().int().min(100).max(3_600_000).default(60_000),
  /** False for what needs no way out of the machine: after a wake it can run a second before that is there. */
  network: z.boolean().default(true),
});
export type Exec = z.input<typeof execSchema>;

export const execResultSchema = z.object({
  /** Null when it was ended by a signal or by the timeout. */
  exitCode: z.number().int().nullable(),
  signal: z.string().nullable(),
  timedOut: z.boolean(),
  /** UTF-8, the last EXEC_OUTPUT_BYTES_MAX bytes of each stream. */
  stdout: z.string(),
  stderr: z.string(),
  truncated: z.boolean(),
  durationMs: z.number(),
});
export type ExecResult = z.infer<typeof execResultSchema>;

export const writeBytesSchema = z.object({
  path: z.string().startsWith('/'),
  dataBase64: z.string().max(16 * 1024 * 1024),
  /** `append` also serves FIFOs; `replace` writes a temporary file and renames it. */
  mode: z.enum(['append', 'replace']),
  user: z.enum(['agent', 'root']).default('agent'),
});
export type WriteBytes = z.input<typeof writeBytesSchema>;

/** One name in a directory of the guest; links are not followed. */
export const fileEntrySchema = z.object({
  name: z.string(),
  kind: z.enum(['file', 'directory', 'symlink', 'other']),
  bytes: z.number(),
  modifiedAt: z.iso.datetime(),
});
export type FileEntry = z.infer<typeof fileEntrySchema>;

/** What may still work in a machine, as seen from outside. */
export const activitySchema = z.object({
  /** Open terminals, and desktops under the name `desktop`, with the time of their last input. */
  terminals: z.array(z.object({ name: z.string(), lastInputAt: z.iso.datetime() })),
  /** Exec calls in flight. */
  execs: z.number().int(),
  /** Egress connections open now. */
  connections: z.number().int(),
  /** Bytes through the egress proxy since hostd took the machine up; only the difference of two looks means anything. */
  egressBytes: z.number().int(),
  /** CPU time the machine's process has used since it was started, seen from the host: a guest cannot hide its work. */
  cpuMs: z.number().int(),
});
export type Activity = z.infer<typeof activitySchema>;

export const ptyControlSchema = z.object({
  type: z.literal('resize'),
  cols: z.number().int().min(1).max(1000),
  rows: z.number().int().min(1).max(1000),
});
export type PtyControl = z.infer<typeof ptyControlSchema>;

/** One thing that keeps machines apart and that this host cannot give them; all of it is for people. */
export const isolationLackSchema = z.object({ what: z.string(), found: z.string(), why: z.string(), fix: z.string() });
export type IsolationLack = z.infer<typeof isolationLackSchema>;

/** What a host is, how much room it has, and how well it keeps machines apart. */
export const hostViewSchema = z.object({
  hostId: z.string(),
  version: z.string(),
  contractVersion: z.number().int(),
  accelerator: z.enum(ACCELERATORS),
  /** How the accelerator was decided, for people: `a probe guest booted under KVM in 1.2 s`. */
  acceleratorReason: z.string(),
  qemuVersion: z.string(),
  cores: z.number().int(),
  memoryMiB: z.number().int(),
  memoryFreeMiB: z.number().int(),
  diskFreeBytes: z.number(),
  /** Constant-time copy-on-write clones in the data directory. */
  reflink: z.boolean(),
  /** One per variant, built or not. */
  images: z.array(imageViewSchema),
  /** Where copies of snapshots go, without credentials; null when they stay here. */
  objectStore: z.string().nullable(),
  machines: z.number().int(),
  /** Empty when every machine has a user, namespaces and limits of its own. */
  isolationLacks: z.array(isolationLackSchema),
});
export type HostView = z.infer<typeof hostViewSchema>;

/** Layout inside every machine, relied on by both sides. */
export const GUEST = {
  workspace: '/workspace',
  agentUser: 'agent',
  /** FIFO; the agent unit holds it open read-write, so writers may come and go. */
  agentStdin: '/run/warren/agent.in',
  /** Appended, never truncated: offsets into it are stable for the life of the machine. */
  agentStdout: '/var/lib/warren/agent.out',
  agentStderr: '/var/lib/warren/agent.err',
  /** `AGENT_COMMAND=…` and the agent's environment, read by warren-agent.service. */
  agentEnv: '/etc/warren/agent.env',
  agentUnit: 'warren-agent.service',
  /** Where the VNC server of an image with a desktop listens. */
  desktopSocket: '/run/warren-desktop/vnc.sock',
  /** The egress proxy as seen from inside. */
  proxyUrl: 'http://127.0.0.1:3128',
} as const;
