import { readdir, readFile, readlink } from 'node:fs/promises';
import path from 'node:path';
import type { MachineView, SnapshotView } from '../contract/machines.ts';
import { findByArgument, waitGone } from '../hypervisor/qemu/process.ts';
import { findCgroup2 } from '../jail/cgroups.ts';
import { CLAIMS_DIR } from '../jail/uids.ts';
import type { HostdProcess } from '../machines/testing/hostd-process.ts';
import type { Layout } from '../storage/layout.ts';

/** Everything of one host that a crash may leave wrong, as seen from outside of hostd. */
export type Remains = {
  machines: MachineView[];
  snapshots: SnapshotView[];
  /** Processes by the machine whose socket directory is on their command line; QEMU's parent, which keeps its jail, is one too. */
  processes: { machineId: string; pid: number; isKeeper: boolean }[];
  machineDirs: string[];
  snapshotDirs: string[];
  trash: string[];
  /** Files whose name says that they were never finished. */
  unfinished: string[];
  socketDirs: string[];
  mounts: string[];
  /** Machines that hold a user id. */
  uidOwners: string[];
  /** Machines that have a cgroup. */
  cgroups: string[];
};

const KEEPER_ENDS_MS = 2_000;

export async function lookAround(hostd: HostdProcess): Promise<Remains> {
  const { layout } = hostd;
  const [machines, snapshots] = await Promise.all([
    hostd.call<MachineView[]>('GET', 'machines'),
    hostd.call<SnapshotView[]>('GET', 'snapshots'),
  ]);
  const files = await readdir(layout.dataDir, { recursive: true });
  const socketDirs = (await readdir(layout.runDir)).filter((name) => name.startsWith('mch_'));
  const machineIds = new Set([...machines.map(({ machineId }) => machineId), ...socketDirs, ...(await readdir(layout.machines))]);
  const processes = await Promise.all([...machineIds].map((machineId) => processesOf(machineId, layout.sockets(machineId).dir)));
  const claims = await readdir(CLAIMS_DIR).catch(() => []);
  const owners = await Promise.all(claims.map((uid) => readlink(path.join(CLAIMS_DIR, uid)).catch(() => '')));
  return {
    machines,
    snapshots,
    processes: processes.flat(),
    machineDirs: await readdir(layout.machines),
    snapshotDirs: await readdir(layout.snapshots),
    trash: await readdir(layout.trash),
    unfinished: files.filter((name) => name.endsWith('.new')),
    socketDirs,
    mounts: await mountsBelow(layout.dataDir),
    uidOwners: owners.filter((dir) => path.dirname(dir) === layout.runDir).map((dir) => path.basename(dir)),
    cgroups: await cgroupsOf(layout),
  };
}

/** A keeper ends by itself, a moment after the QEMU that it keeps: only one that stays is left over. */
async function processesOf(machineId: string, socketDir: string): Promise<Remains['processes']> {
  const found = await Promise.all(
    (await findByArgument(socketDir)).map(async (ref) => {
      const name = await readFile(`/proc/${ref.pid}/comm`, 'utf8').catch(() => '');
      return { ref, isKeeper: name.trim() === 'bwrap' };
    }),
  );
  const keepsNothing = found.every(({ isKeeper }) => isKeeper);
  const gone = await Promise.all(found.map(({ ref }) => keepsNothing && waitGone(ref, KEEPER_ENDS_MS)));
  return found.filter((_, index) => !gone[index]).map(({ ref, isKeeper }) => ({ machineId, pid: ref.pid, isKeeper }));
}

/** Names of machines that have a cgroup. */
async function cgroupsOf(layout: Layout): Promise<string[]> {
  const mount = findCgroup2(await readFile('/proc/self/mountinfo', 'utf8'));
  const names = mount === null ? [] : await readdir(path.join(mount, 'warren')).catch(() => []);
  return names.filter((name) => name.startsWith(`${layout.key}-`)).map((name) => name.slice(layout.key.length + 1));
}

async function mountsBelow(dir: string): Promise<string[]> {
  const lines = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n');
  return lines.flatMap((line) => line.split(' ')[4] ?? []).filter((at) => at.startsWith(`${dir}${path.sep}`));
}

/** What must hold at every moment at which hostd answers, as sentences about what does not. */
export function findBroken(remains: Remains): string[] {
  const { machines, snapshots, processes, machineDirs, snapshotDirs, trash, unfinished, socketDirs, mounts, uidOwners, cgroups } =
    remains;
  const alive = machines.filter(({ state }) => state !== 'exited');
  const names = (ids: string[]) => ids.sort().join(' ');
  const broken: string[] = [];
  const hold = (is: boolean, what: string) => {
    if (!is) broken.push(what);
  };
  for (const { machineId, process } of alive) {
    const pids = processes.filter((one) => one.machineId === machineId && !one.isKeeper).map(({ pid }) => pid);
    hold(pids.length === 1, `machine ${machineId} has ${pids.length} processes`);
    hold(pids[0] === process?.pid, `machine ${machineId} runs as ${pids[0]} and is listed as ${process?.pid}`);
  }
  for (const { machineId, pid } of processes)
    hold(
      alive.some((one) => one.machineId === machineId),
      `orphan process ${pid} of ${machineId}`,
    );
  const listed = names(machines.map(({ machineId }) => machineId));
  hold(names(machineDirs) === listed, `machine directories ${names(machineDirs)} beside machines ${listed}`);
  const kept = names(snapshots.map(({ snapshotId }) => snapshotId));
  hold(names(snapshotDirs) === kept, `snapshot directories ${names(snapshotDirs)} beside whole snapshots ${kept}`);
  hold(trash.length === 0, `in the trash: ${names(trash)}`);
  hold(unfinished.length === 0, `unfinished files: ${names(unfinished)}`);
  for (const name of socketDirs)
    hold(
      alive.some(({ machineId }) => machineId === name),
      `sockets of ${name}, which does not run`,
    );
  hold(mounts.length === 0, `mounts: ${names(mounts)}`);
  for (const name of uidOwners)
    hold(
      alive.some(({ machineId }) => machineId === name),
      `a user id of ${name}, which does not run`,
    );
  for (const name of cgroups)
    hold(
      alive.some(({ machineId }) => machineId === name),
      `a cgroup of ${name}, which does not run`,
    );
  hold(new Set(uidOwners).size === uidOwners.length, `machines with two user ids: ${names(uidOwners)}`);
  return broken;
}
