import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { MachineView, SnapshotView } from '../contract/machines.ts';
import { findByArgument } from '../hypervisor/qemu/process.ts';
import type { HostdProcess } from '../machines/testing/hostd-process.ts';

/** Everything of one host that a crash may leave wrong, as seen from outside of hostd. */
export type Remains = {
  machines: MachineView[];
  snapshots: SnapshotView[];
  /** Process ids by the machine whose socket directory is on their command line. */
  processes: { machineId: string; pid: number }[];
  machineDirs: string[];
  snapshotDirs: string[];
  trash: string[];
  /** Files whose name says that they were never finished. */
  unfinished: string[];
  socketDirs: string[];
  mounts: string[];
};

export async function lookAround(hostd: HostdProcess): Promise<Remains> {
  const { layout } = hostd;
  const [machines, snapshots] = await Promise.all([
    hostd.call<MachineView[]>('GET', 'machines'),
    hostd.call<SnapshotView[]>('GET', 'snapshots'),
  ]);
  const files = await readdir(layout.dataDir, { recursive: true });
  const socketDirs = (await readdir(layout.runDir)).filter((name) => name.startsWith('mch_'));
  const machineIds = new Set([...machines.map(({ machineId }) => machineId), ...socketDirs, ...(await readdir(layout.machines))]);
  const processes = await Promise.all(
    [...machineIds].map(async (machineId) =>
      (await findByArgument(layout.sockets(machineId).dir)).map(({ pid }) => ({ machineId, pid })),
    ),
  );
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
  };
}

async function mountsBelow(dir: string): Promise<string[]> {
  const lines = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n');
  return lines.flatMap((line) => line.split(' ')[4] ?? []).filter((at) => at.startsWith(`${dir}${path.sep}`));
}

/** What must hold at every moment at which hostd answers, as sentences about what does not. */
export function findBroken(remains: Remains): string[] {
  const { machines, snapshots, processes, machineDirs, snapshotDirs, trash, unfinished, socketDirs, mounts } = remains;
  const alive = machines.filter(({ state }) => state !== 'exited');
  const names = (ids: string[]) => ids.sort().join(' ');
  const broken: string[] = [];
  const hold = (is: boolean, what: string) => {
    if (!is) broken.push(what);
  };
  for (const { machineId, process } of alive) {
    const pids = processes.filter((one) => one.machineId === machineId).map(({ pid }) => pid);
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
  return broken;
}
