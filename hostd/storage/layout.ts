import { createHash } from 'node:crypto';
import os from 'node:os';
import path from 'node:path';

/*
 * Every path hostd uses. The data directory holds three lifetimes: images (immutable), machines (one directory each, gone
 * with the machine) and snapshots (immutable: machines map their memory). A machine's `vm` directory becomes the snapshot
 * by one rename.
 * Sockets live apart, because a unix socket's path may not exceed 107 bytes and data directories are often deep.
 */
export type Layout = ReturnType<typeof layoutOf>;

/** @param dataDir absolute; hostd's own, made with mode 0700 */
export function layoutOf(dataDir: string) {
  const key = createHash('sha256').update(path.resolve(dataDir)).digest('hex').slice(0, 12);
  const uid = process.getuid?.() ?? 0;
  const runDir = path.join(os.tmpdir(), `warren-${uid}-${key}`);
  const images = path.join(dataDir, 'images');
  const machines = path.join(dataDir, 'machines');
  const snapshots = path.join(dataDir, 'snapshots');
  const spares = path.join(dataDir, 'spares');
  return {
    dataDir,
    /** Names this data directory on the host. */
    key,
    /** Sparse file with the XFS that is mounted on the data directory where the file system below cannot clone files. */
    volumeFile: `${path.resolve(dataDir)}.xfs`,
    runDir,
    images,
    machines,
    snapshots,
    /** Of processes that wait to become machines; one directory each while they wait. */
    spares,
    /** Highest lease seen per machine id; outlives the machine, so that a late verb cannot bring it back. */
    leases: path.join(dataDir, 'leases'),
    /** Decisions about machines' ways out until the control plane has them; outlives the machines. */
    egress: path.join(dataDir, 'egress'),
    /** Removed at the next start whatever is in it. */
    trash: path.join(dataDir, 'trash'),
    /** Which pages are in the object store's packs; may be deleted. One directory per key. */
    chunkCache: path.join(dataDir, 'chunk-cache'),
    /** Snapshots that are being fetched. */
    fetches: path.join(dataDir, 'fetches'),
    /** Links to the parents of snapshots that are being copied. */
    pins: path.join(dataDir, 'pins'),
    accelerator: path.join(dataDir, 'accelerator.json'),
    /** What a jailed QEMU sees of the host (hostd/jail/tree.ts). */
    jail: path.join(dataDir, 'jail'),
    hostId: path.join(dataDir, 'host-id'),
    /** This host's certificate authority for inspected hosts. */
    egressKey: path.join(dataDir, 'egress-ca.key'),
    egressCertificate: path.join(dataDir, 'egress-ca.crt'),
    /** Signs snapshot manifests. */
    hostKey: path.join(dataDir, 'host-key'),
    image: (imageId: string) => imageFiles(path.join(images, imageId)),
    machine: (machineId: string) => machineFiles(path.join(machines, machineId)),
    snapshot: (snapshotId: string) => snapshotFiles(path.join(snapshots, snapshotId)),
    spare: (spareId: string) => ({ dir: path.join(spares, spareId), log: path.join(spares, `${spareId}.log`) }),
    fetching: (snapshotId: string) => path.join(dataDir, 'fetches', snapshotId),
    pinned: (snapshotId: string) => path.join(dataDir, 'pins', snapshotId),
    lease: (machineId: string) => path.join(dataDir, 'leases', machineId),
    sockets: (machineId: string) => socketFiles(path.join(runDir, machineId)),
  };
}

export type ImageFiles = ReturnType<typeof imageFiles>;
export function imageFiles(dir: string) {
  return {
    dir,
    disk: path.join(dir, 'disk.raw'),
    kernel: path.join(dir, 'vmlinux'),
    initrd: path.join(dir, 'initrd'),
    /** One line per path of the root disk; see guest/image/content.ts. */
    contents: path.join(dir, 'contents.txt'),
    /** Written last: an image without it does not exist. */
    manifest: path.join(dir, 'image.json'),
  };
}

export type MachineFiles = ReturnType<typeof machineFiles>;
function machineFiles(dir: string) {
  return {
    dir,
    record: path.join(dir, 'machine.json'),
    console: path.join(dir, 'console.log'),
    qemuLog: path.join(dir, 'qemu.log'),
    /** What its memory is mapped from: a further name of its snapshot's memory, which may be removed meanwhile. */
    mappedMemory: path.join(dir, 'mapped-memory'),
    /** Small files of the guest side. */
    guest: path.join(dir, 'guest'),
    vm: snapshotFiles(path.join(dir, 'vm')),
    /** A checkpoint in the making; becomes the snapshot by one rename. */
    checkpoint: snapshotFiles(path.join(dir, 'checkpoint')),
  };
}

export type SnapshotFiles = ReturnType<typeof snapshotFiles>;
export function snapshotFiles(dir: string) {
  return {
    dir,
    memory: path.join(dir, 'memory'),
    disk: path.join(dir, 'disk.raw'),
    deviceState: path.join(dir, 'device.state'),
    manifest: path.join(dir, 'manifest.json'),
    /** Exists once memory and disk are on stable storage, not only in the page cache. */
    durable: path.join(dir, 'durable'),
    /** Exists once there is a copy in the object store. */
    replica: path.join(dir, 'replica.json'),
    /** Milliseconds from the request to QEMU gone, for whoever asks again. */
    releasedMs: path.join(dir, 'released-ms'),
  };
}

export type SocketFiles = ReturnType<typeof socketFiles>;
export function socketFiles(dir: string) {
  return {
    dir,
    qmp: path.join(dir, 'qmp.sock'),
    agent: path.join(dir, 'qga.sock'),
    ssh: path.join(dir, 'ssh.sock'),
    /** Device state on its way into QEMU, which holds it open from its start. */
    inbox: path.join(dir, 'inbox'),
    /** Device state on its way out of QEMU, which opens it by this path. */
    outbox: path.join(dir, 'outbox'),
  };
}
