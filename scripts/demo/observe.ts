import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import {
  execResultSchema,
  GUEST,
  type MachineView,
  machineViewSchema,
  snapshotViewSchema,
} from '../../hostd/contract/machines.ts';
import { parseProcStat } from '../../hostd/hypervisor/proc-stat.ts';

/*
 * Looking from outside: the host's process table and programs run inside the guest, never what Warren says of itself.
 */
export type Sighting = {
  machineId: string;
  qemu: { pid: number; startTimeTicks: string };
  bootId: string;
  agent: { pid: number; startTimeTicks: string };
};

type Hostd = { url: string; token: string };

async function call(hostd: Hostd, method: string, path: string, body?: unknown): Promise<unknown> {
  const reply = await fetch(`${hostd.url}${path}`, {
    method,
    headers: { authorization: `Bearer ${hostd.token}`, 'content-type': 'application/json' },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const parsed = (await reply.json()) as { ok: boolean; value?: unknown; error?: { code: string; message: string } };
  if (!parsed.ok) throw new Error(`hostd ${method} ${path}: ${parsed.error?.code}: ${parsed.error?.message}`);
  return parsed.value;
}

/** True while a process with this pid and start time runs and is a QEMU. */
export async function isQemuRunning(process: { pid: number; startTimeTicks: string }): Promise<boolean> {
  const stat = parseProcStat(await readFile(`/proc/${process.pid}/stat`, 'utf8').catch(() => ''));
  if (stat === null || stat.state === 'Z') return false;
  return stat.name.startsWith('qemu') && stat.startTimeTicks === process.startTimeTicks;
}

/** Runs a shell script as the guest's root. @throws with its errors when it fails */
export async function execInGuest(hostd: Hostd, machineId: string, script: string): Promise<string> {
  const value = await call(hostd, 'POST', `/v1/machines/${machineId}/exec`, {
    argv: ['sh', '-c', script],
    user: 'root',
    timeoutMs: 60_000,
  });
  const result = execResultSchema.parse(value);
  if (result.exitCode !== 0) throw new Error(`in the machine: exit code ${result.exitCode}: ${result.stderr.trim()}`);
  return result.stdout.trim();
}

/**
 * Reads a running machine's identity: QEMU's process on the host, boot id and the agent's process in the guest.
 *
 * @throws when QEMU is not in the host's process table or the guest does not answer
 */
export async function observe(hostd: Hostd, machineId: string): Promise<Sighting> {
  const machine: MachineView = machineViewSchema.parse(await call(hostd, 'GET', `/v1/machines/${machineId}`));
  if (machine.process === null || !(await isQemuRunning(machine.process))) {
    throw new Error(`QEMU of ${machineId} is not in the process table`);
  }
  const script = [
    'cat /proc/sys/kernel/random/boot_id',
    `pid=$(systemctl show -p MainPID --value ${GUEST.agentUnit})`,
    'echo $pid',
    "sed 's/.*) //' /proc/$pid/stat | cut -d' ' -f20",
  ].join('; ');
  const [bootId, pid, startTimeTicks] = (await execInGuest(hostd, machineId, script)).split('\n');
  if (!bootId || !pid || pid === '0' || !startTimeTicks) throw new Error(`the agent does not run in ${machineId}`);
  return { machineId, qemu: machine.process, bootId, agent: { pid: Number(pid), startTimeTicks } };
}

export function sameAgent(a: Sighting, b: Sighting): boolean {
  return a.agent.pid === b.agent.pid && a.agent.startTimeTicks === b.agent.startTimeTicks;
}

/** Snapshots the host still holds of any of these machines. */
export async function listSnapshotsOf(hostd: Hostd, machineIds: ReadonlySet<string>): Promise<string[]> {
  const snapshots = z.array(snapshotViewSchema).parse(await call(hostd, 'GET', '/v1/snapshots'));
  return snapshots.filter((row) => machineIds.has(row.manifest.machineId)).map((row) => row.snapshotId);
}
