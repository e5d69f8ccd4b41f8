import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);
/** Of /proc/PID/stat, a constant of the kernel's interface on x86. */
const TICKS_PER_SECOND = 100;

/** CPU that a process has used, milliseconds. */
export async function cpuMsOf(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return ((Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND) * 1000;
}

export async function rssBytesOf(pid: number): Promise<number> {
  return kilobytes(await readFile(`/proc/${pid}/status`, 'utf8'), 'VmRSS');
}

/**
 * Memory that the host would get back if this process ended: what no other process maps, and the page cache of a memory file that
 * is nobody else's.
 */
export async function privateBytesOf(pid: number): Promise<number> {
  const rollup = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8');
  return kilobytes(rollup, 'Private_Clean') + kilobytes(rollup, 'Private_Dirty') + (await unmappedCacheOf(pid));
}

/** Pages of the guest's memory file that are in the page cache and not mapped (read or written by others than the guest). */
async function unmappedCacheOf(pid: number): Promise<number> {
  const maps = await readFile(`/proc/${pid}/smaps`, 'utf8');
  // A memory file of a machine is mapped shared; one that is mapped privately is its template's and counts for nobody.
  const shared = /^[0-9a-f]+-[0-9a-f]+ rw-s \S+ \S+ \S+\s+(\/\S*\/machines\/\S+)\n(?:[A-Z].*\n)*?Rss:\s+(\d+) kB/m.exec(maps);
  if (!shared) return 0;
  const { stdout } = await run('fincore', ['--bytes', '--noheadings', '--output', 'RES', shared[1]!]);
  return Math.max(0, Number(stdout.trim()) - Number(shared[2]) * 1024);
}

function kilobytes(text: string, name: string): number {
  const found = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1];
  if (found === undefined) throw new Error(`the kernel does not tell ${name}`);
  return Number(found) * 1024;
}
