/** What /proc/PID/stat says of a process. */
export type ProcStat = {
  name: string;
  /** One letter; `Z` for a process that has ended and was not waited for. */
  state: string;
  /** In clock ticks since boot. With the pid it names the process for good. */
  startTimeTicks: string;
  /** User and system time of all its threads. */
  cpuMs: number;
};

/** The kernel's USER_HZ, which is 100 on every architecture Linux still builds for with glibc. */
const TICK_MS = 10;

/** Null for a text that breaks off. The name in parentheses may hold spaces and parentheses itself. */
export function parseProcStat(text: string): ProcStat | null {
  const end = text.lastIndexOf(')');
  const fields = text.slice(end + 2).split(' ');
  const [state, startTimeTicks] = [fields[0], fields[19]];
  if (state === undefined || startTimeTicks === undefined) return null;
  const cpuMs = (Number(fields[11]) + Number(fields[12])) * TICK_MS;
  return { name: text.slice(text.indexOf('(') + 1, end), state, startTimeTicks, cpuMs };
}
