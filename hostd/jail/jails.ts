import { chmod, chown, stat } from 'node:fs/promises';
import type { Accelerator } from '../contract/machines.ts';
import { HostdError } from '../errors.ts';
import type { SpareSpec, VmSpec } from '../hypervisor/driver.ts';
import { isErrno } from '../storage/files.ts';
import { socketFiles } from '../storage/layout.ts';
import type { Bind, Confinement } from './argv.ts';
import type { Cgroups } from './cgroups.ts';
import { cgroupLimits, type IoLimit, type MachineSize, runLimits } from './limits.ts';
import type { JailTree } from './tree.ts';
import type { Uids } from './uids.ts';

const KVM = '/dev/kvm';
/** QEMU tries out on it how files can be locked. */
const NULL_DEVICE = '/dev/null';

/** What of a jail this host lets hostd have; found out at start (privileges.ts). */
export type JailMeans = {
  asRoot: boolean;
  /** Null where no namespaces can be made. */
  tree: JailTree | null;
  /** Null where machines run as hostd's user. */
  uids: Uids | null;
  cgroups: Cgroups | null;
  io: IoLimit | null;
};

/** A machine's place in the host, named by what no other machine has. */
export type JailRef = {
  machineId: string;
  socketDir: string;
  /** Files that were given to the machine's user. */
  files: readonly string[];
};

/**
 * Gives each machine a user id, a cgroup and its files, and takes them back. Remembers nothing: the id is in the claim
 * (uids.ts), the rest follows from the machine's name, so that any hostd can take back what another one gave.
 */
export class Jails {
  readonly #means: JailMeans;

  constructor(means: JailMeans) {
    this.#means = means;
  }

  /** Makes everything ready that QEMU will open, and says how to start it. The socket directory exists. */
  async enter(spec: VmSpec, accelerator: Accelerator): Promise<Confinement> {
    const { size: diskBytes } = await stat(spec.diskPath).catch((cause) => {
      throw new HostdError('internal', { message: `the disk ${spec.diskPath} cannot be opened`, phase: 'jail.enter', cause });
    });
    return this.#confine(spec.machineId, { ...spec, diskBytes, accelerator }, bindsOf(spec, accelerator));
  }

  /** The same for a process whose files are not known yet. It sees a directory in which they will appear, and may not write there. */
  enterSpare(spec: SpareSpec, accelerator: Accelerator): Promise<Confinement> {
    const binds: Bind[] = [{ path: spec.dir, access: 'directory' }, ...ownBinds(spec.socketDir, accelerator)];
    return this.#confine(spec.spareId, { ...spec, accelerator }, binds);
  }

  /** Lets a spare open the files of the machine it becomes. */
  async give(confinement: Confinement, { memoryPath, diskPath }: Pick<VmSpec, 'memoryPath' | 'diskPath'>): Promise<void> {
    const owner = confinement.jail?.owner;
    if (owner) await giveTo(owner.uid, filesOf({ memoryPath, diskPath }));
  }

  async #confine(name: string, of: MachineSize & { socketDir: string }, binds: Bind[]): Promise<Confinement> {
    const { asRoot, tree, uids, cgroups, io } = this.#means;
    const { memoryMiB, vcpus, diskBytes, accelerator, socketDir } = of;
    const size = { memoryMiB, vcpus, diskBytes, accelerator };
    const cgroupDir = cgroups && (await cgroups.make(name, cgroupLimits(size, io)));
    const confinement = { limits: runLimits(size), cgroupDir, asRoot };
    if (tree === null) return { ...confinement, jail: null };
    const owner = uids && { uid: await uids.claim(socketDir), groups: accelerator === 'kvm' ? await groupOf(KVM) : [] };
    if (owner) await giveTo(owner.uid, binds);
    return { ...confinement, jail: { tree, binds, owner } };
  }

  /** Takes back what the machine held, in an order that frees its id last. Its processes are gone. Safe to repeat. */
  async leave({ machineId, socketDir, files }: JailRef): Promise<void> {
    const { uids, cgroups } = this.#means;
    await cgroups?.remove(machineId);
    if (uids === null) return;
    for (const file of files) await takeBack(file);
    await uids.release(socketDir);
  }
}

/** Every file that QEMU opens by its path. It owns no directory: it can plant no link where hostd writes, and fill no disk. */
function bindsOf(spec: VmSpec, accelerator: Accelerator): Bind[] {
  const read = spec.begin.kind === 'boot' ? [spec.begin.kernelPath, spec.begin.initrdPath] : [];
  return [...filesOf(spec), ...read.map((path) => ({ path, access: 'read' }) as const), ...ownBinds(spec.socketDir, accelerator)];
}

function filesOf({ memoryPath, diskPath }: Pick<VmSpec, 'memoryPath' | 'diskPath'>): Bind[] {
  // Memory is a snapshot's, and mapped by all machines that were made from it.
  return [
    { path: memoryPath, access: 'shared' },
    { path: diskPath, access: 'write' },
  ];
}

function ownBinds(socketDir: string, accelerator: Accelerator): Bind[] {
  return [
    { path: socketFiles(socketDir).outbox, access: 'write' },
    ...[NULL_DEVICE, ...(accelerator === 'kvm' ? [KVM] : [])].map((path) => ({ path, access: 'device' }) as const),
  ];
}

async function giveTo(uid: number, binds: readonly Bind[]): Promise<void> {
  for (const { path, access } of binds) {
    if (access === 'write') await chown(path, uid, uid);
    // Behind hostd's private directories: nobody gets there but by a bind. QEMU does not write to memory that it maps privately,
    // but opens it as if it would.
    if (access === 'read') await chmod(path, ((await stat(path)).mode & 0o777) | 0o444);
    if (access === 'shared') await chmod(path, 0o666);
  }
}

async function takeBack(file: string): Promise<void> {
  await chown(file, process.getuid?.() ?? 0, process.getgid?.() ?? 0).catch((error) => {
    if (!isErrno(error, 'ENOENT')) throw error;
  });
}

async function groupOf(device: string): Promise<number[]> {
  return [(await stat(device)).gid];
}
