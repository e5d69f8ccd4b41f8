import { spawn } from 'node:child_process';
import { open, readdir, readFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { constants } from 'node:os';
import { HostdError } from '../../errors.ts';
import { STATUS_FD } from '../../jail/argv.ts';
import { isErrno } from '../../storage/files.ts';
import type { ProcessRef } from '../driver.ts';
import { parseProcStat } from '../proc-stat.ts';

/*
 * The only place that starts and ends processes. A process is always named by pid and start time; a pid alone may be someone
 * else's by now.
 */
const TERM_GRACE_MS = 2_000;
const GONE_DEADLINE_MS = 10_000;
const POLL_MS = 5;
const ZOMBIE_GRACE_MS = 1_000;
const TAIL_BYTES = 4096;
/** Added to a signal's number in the exit code of a program that ended of what ended its child. */
const SIGNALLED = 128;
const HARMLESS = /doesn't support requested feature|info: QEMU waiting for connection/;

type Sighting = { startTimeTicks: string; isZombie: boolean; cpuMs: number };

async function look(pid: number): Promise<Sighting | null> {
  let text: string;
  try {
    text = await readFile(`/proc/${pid}/stat`, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT') || isErrno(error, 'ESRCH')) return null;
    throw error;
  }
  const found = parseProcStat(text);
  if (found === null) return null;
  const { state, startTimeTicks, cpuMs } = found;
  if (state !== 'Z' && state !== 'X') return { startTimeTicks, isZombie: false, cpuMs };
  // The first thread may have ended while others still hold the memory.
  const threads = await readdir(`/proc/${pid}/task`).catch(() => []);
  return { startTimeTicks, isZombie: threads.length <= 1, cpuMs };
}

/** Start time in clock ticks since boot; null when there is no such process or only its zombie. */
export async function startTimeOf(pid: number): Promise<string | null> {
  const seen = await look(pid);
  return seen === null || seen.isZombie ? null : seen.startTimeTicks;
}

export async function isAlive(ref: ProcessRef): Promise<boolean> {
  return (await startTimeOf(ref.pid)) === ref.startTimeTicks;
}

/** User and system time of all its threads; 0 once it is gone. */
export async function cpuMsOf(ref: ProcessRef): Promise<number> {
  const seen = await look(ref.pid);
  return seen?.startTimeTicks === ref.startTimeTicks ? seen.cpuMs : 0;
}

/** Sends a signal to this very process; nothing happens when it is gone. */
async function signal(ref: ProcessRef, name: NodeJS.Signals): Promise<void> {
  if (!(await isAlive(ref))) return;
  try {
    process.kill(ref.pid, name);
  } catch (error) {
    if (!isErrno(error, 'ESRCH')) throw error;
  }
}

/**
 * @returns whether the process left the process table within the deadline. A zombie has given everything back; it is waited
 * for a moment, because its parent usually takes it away at once, and then counts as gone, because some never do.
 */
export async function waitGone(ref: ProcessRef, deadlineMs: number): Promise<boolean> {
  const startedAt = performance.now();
  for (;;) {
    const seen = await look(ref.pid);
    if (seen?.startTimeTicks !== ref.startTimeTicks) return true;
    const waitedMs = performance.now() - startedAt;
    if (waitedMs > Math.min(deadlineMs, ZOMBIE_GRACE_MS) && seen.isZombie) return true;
    if (waitedMs > deadlineMs) return false;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** TERM, grace, KILL, bounded wait. @throws `internal` when even KILL did not end it (a process stuck in the kernel) */
export async function endProcess(ref: ProcessRef, graceMs = TERM_GRACE_MS): Promise<void> {
  if (graceMs > 0) {
    await signal(ref, 'SIGTERM');
    if (await waitGone(ref, graceMs)) return;
  }
  await signal(ref, 'SIGKILL');
  if (await waitGone(ref, GONE_DEADLINE_MS)) return;
  throw new HostdError('internal', { message: `process ${ref.pid} does not end`, phase: 'qemu.kill' });
}

export type Launch = {
  /** Program and arguments, of which the program becomes another one in the end (hostd/jail/argv.ts). */
  argv: readonly string[];
  /** The program is a child of the process that is started, which names it on STATUS_FD. */
  reportsPid: boolean;
  /** Open files that the program gets as the descriptors from STATUS_FD + 1 on. */
  inherited?: readonly number[];
  logPath: string;
};

/**
 * Starts a program that outlives hostd: own session, no pipes that it needs, output appended to `logPath`. `earlyExit` settles
 * when it ends while this hostd lives.
 */
export async function spawnDetached(launch: Launch): Promise<{ process: ProcessRef; earlyExit: Promise<string> }> {
  const { argv, reportsPid, inherited = [], logPath } = launch;
  const [program, ...args] = argv as [string, ...string[]];
  const log = await open(logPath, 'a', 0o600);
  try {
    const stdio = ['ignore', log.fd, log.fd, reportsPid ? 'pipe' : 'ignore', ...inherited] as const;
    const child = spawn(program, args, { detached: true, stdio: [...stdio] });
    const earlyExit = new Promise<string>((resolve) => {
      child.once('exit', (code, name) => resolve(name === null ? describeExit(code ?? 0) : `signal ${name}`));
    });
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', (cause) => reject(missingProgram(program, cause)));
    });
    child.unref();
    const pid = reportsPid ? await readReportedPid(child.stdio[STATUS_FD] as Socket) : child.pid!;
    const startTimeTicks = pid === null ? null : await startTimeOf(pid);
    if (pid === null || startTimeTicks === null) throw await startError(`it ended at once with ${await earlyExit}`, logPath);
    return { process: { pid, startTimeTicks }, earlyExit };
  } finally {
    await log.close();
  }
}

/** Null when the process ended without naming one. The stream stays open: who writes to it at its end must not be ended by that. */
function readReportedPid(status: Socket): Promise<number | null> {
  let text = '';
  status.unref();
  return new Promise((resolve) => {
    status.on('data', (chunk) => {
      text += chunk;
      const found = /"child-pid": (\d+)/.exec(text);
      if (found) resolve(Number(found[1]));
    });
    status.once('close', () => resolve(null));
    status.once('error', () => resolve(null));
  });
}

/** Of a program that passes on how its child ended, as shells do. */
function describeExit(code: number): string {
  const name = Object.entries(constants.signals).find(([, number]) => number === code - SIGNALLED)?.[0];
  return name === undefined ? `exit code ${code}` : `signal ${name}`;
}

function missingProgram(program: string, cause: unknown): HostdError {
  return new HostdError('missing_dependency', {
    message: `${program} cannot be run: install util-linux`,
    phase: 'qemu.start',
    cause,
  });
}

/** `internal` with the tail of QEMU's output. */
export async function startError(why: string, logPath: string): Promise<HostdError> {
  return new HostdError('internal', { message: `QEMU did not start: ${why}`, phase: 'qemu.start', tail: await tailOf(logPath) });
}

/** Last lines of QEMU's output without those that every start prints. */
export async function tailOf(logPath: string): Promise<string> {
  const text = await readFile(logPath, 'utf8').catch(() => '');
  const lines = text.split('\n').filter((line) => line !== '' && !HARMLESS.test(line));
  return lines.join('\n').slice(-TAIL_BYTES);
}

/** Processes of which an argument is `text`, a path that is ours alone. */
export async function findByArgument(text: string): Promise<ProcessRef[]> {
  const pids = (await readdir('/proc')).filter((name) => /^[0-9]+$/.test(name)).map(Number);
  const found = await Promise.all(
    pids.map(async (pid) => {
      const argv = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
      if (!argv.split('\0').includes(text)) return [];
      const startTimeTicks = await startTimeOf(pid);
      return startTimeTicks === null ? [] : [{ pid, startTimeTicks }];
    }),
  );
  return found.flat().filter((ref) => ref.pid !== process.pid);
}
