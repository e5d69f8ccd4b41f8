import { readFile } from 'node:fs/promises';
import { parseProcStat } from '../hostd/hypervisor/proc-stat.ts';

/** CPU that a process has used, milliseconds. @throws when it is not there */
export async function cpuMsOf(pid: number): Promise<number> {
  const stat = parseProcStat(await readFile(`/proc/${pid}/stat`, 'utf8'));
  if (stat === null) throw new Error(`the kernel does not tell what process ${pid} has used`);
  return stat.cpuMs;
}

export async function rssBytesOf(pid: number): Promise<number> {
  return kilobytes(await readFile(`/proc/${pid}/status`, 'utf8'), 'VmRSS');
}

/** Memory that the host would get back if this process ended: what no other process maps. */
export async function privateBytesOf(pid: number): Promise<number> {
  const rollup = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8');
  return kilobytes(rollup, 'Private_Clean') + kilobytes(rollup, 'Private_Dirty');
}

function kilobytes(text: string, name: string): number {
  const found = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1];
  if (found === undefined) throw new Error(`the kernel does not tell ${name}`);
  return Number(found) * 1024;
}
