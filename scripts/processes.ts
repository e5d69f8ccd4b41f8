import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { parseProcStat } from '../hostd/hypervisor/proc-stat.ts';

/*
 * The small supervisor: starts the parts as children, starts one again when it dies (with a growing pause), and ends
 * them on request. It writes down pid and start time of each, so that a next start finds and ends what a killed
 * supervisor left behind, and never a stranger that got the same pid.
 */
/** `env` is all that the part gets: nothing is inherited. */
export type Part = { name: string; argv: string[]; env: NodeJS.ProcessEnv; healthUrl: string | null };

type Record_ = { pid: number; startTimeTicks: string };

const RESTART_PAUSE_MS_MAX = 10_000;
const STABLE_AFTER_MS = 30_000;
const STOP_GRACE_MS = 10_000;
const LOG_BYTES_MAX = 20 * 1024 * 1024;

/** Null when there is no such process, or it has ended. */
async function startTimeOf(pid: number): Promise<string | null> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null);
  const stat = parseProcStat(text ?? '');
  return stat === null || stat.state === 'Z' ? null : stat.startTimeTicks;
}

async function isRunning(record: Record_): Promise<boolean> {
  return (await startTimeOf(record.pid)) === record.startTimeTicks;
}

async function untilGone(record: Record_, deadlineMs: number): Promise<boolean> {
  const until = performance.now() + deadlineMs;
  while (await isRunning(record)) {
    if (performance.now() > until) return false;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return true;
}

async function end(record: Record_): Promise<void> {
  if (!(await isRunning(record))) return;
  process.kill(record.pid, 'SIGTERM');
  if (await untilGone(record, STOP_GRACE_MS)) return;
  process.kill(record.pid, 'SIGKILL');
  await untilGone(record, STOP_GRACE_MS);
}

async function readRecord(file: string): Promise<Record_ | null> {
  return readFile(file, 'utf8').then(
    (text) => JSON.parse(text) as Record_,
    () => null,
  );
}

/** Pid of a supervised part. @throws when it does not run: the pid in its record may be a stranger's by now */
export async function partPid(runDir: string, name: string): Promise<number> {
  const record = await readRecord(path.join(runDir, `${name}.json`));
  if (record && (await isRunning(record))) return record.pid;
  throw new Error(`${name} does not run`);
}

export class Supervisor {
  readonly #options: { runDir: string; logsDir: string; cwd: string; onExit: (name: string, how: string) => void };
  readonly #children = new Map<string, ChildProcess>();
  #stopping = false;

  constructor(options: { runDir: string; logsDir: string; cwd: string; onExit: (name: string, how: string) => void }) {
    this.#options = options;
  }

  #recordFile(name: string): string {
    return path.join(this.#options.runDir, `${name}.json`);
  }

  logFile(name: string): string {
    return path.join(this.#options.logsDir, `${name}.log`);
  }

  /** True when a supervisor that is still alive owns this data directory. */
  async otherSupervisor(): Promise<number | null> {
    const record = await readRecord(this.#recordFile('supervisor'));
    return record && record.pid !== process.pid && (await isRunning(record)) ? record.pid : null;
  }

  /** Ends what an earlier, killed supervisor left running, and takes its place. */
  async takeOver(names: readonly string[]): Promise<string[]> {
    const left: string[] = [];
    for (const name of names) {
      const record = await readRecord(this.#recordFile(name));
      if (record && (await isRunning(record))) {
        left.push(name);
        await end(record);
      }
    }
    await this.#writeRecord('supervisor', process.pid);
    return left;
  }

  async #writeRecord(name: string, pid: number): Promise<void> {
    const startTimeTicks = await startTimeOf(pid);
    if (startTimeTicks === null) return;
    const file = this.#recordFile(name);
    await writeFile(`${file}.new`, JSON.stringify({ pid, startTimeTicks }));
    await rename(`${file}.new`, file);
  }

  async start(part: Part, attempt = 0): Promise<void> {
    const logPath = this.logFile(part.name);
    const size = await stat(logPath).then(
      (found) => found.size,
      () => 0,
    );
    if (size > LOG_BYTES_MAX) await rename(logPath, `${logPath}.1`);
    const log = openSync(logPath, 'a');
    const [file, ...args] = part.argv as [string, ...string[]];
    const startedAt = performance.now();
    const child = spawn(file, args, {
      cwd: this.#options.cwd,
      env: part.env,
      stdio: ['ignore', log, log],
      // A group of its own: Ctrl-C in a terminal reaches the whole group, and hostd must still be there when sessions are put to sleep.
      detached: true,
    });
    closeSync(log);
    this.#children.set(part.name, child);
    if (child.pid) await this.#writeRecord(part.name, child.pid);
    child.once('exit', (code, signal) => {
      if (this.#stopping) return;
      const next = performance.now() - startedAt > STABLE_AFTER_MS ? 0 : attempt + 1;
      this.#options.onExit(part.name, signal ? `ended by ${signal}` : `exit code ${code}`);
      setTimeout(
        () => {
          if (!this.#stopping) void this.start(part, next);
        },
        Math.min(RESTART_PAUSE_MS_MAX, next === 0 ? 0 : 250 * 2 ** next),
      );
    });
  }

  /** Waits until the part answers its health address. Resolves to false when the deadline passes first. */
  async untilHealthy(part: Part, deadlineMs: number): Promise<boolean> {
    if (part.healthUrl === null) return true;
    const until = performance.now() + deadlineMs;
    while (performance.now() < until) {
      const ok = await fetch(part.healthUrl, { headers: { connection: 'close' } }).then(
        (reply) => reply.ok || reply.status === 401,
        () => false,
      );
      if (ok) return true;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    return false;
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    const records = await Promise.all([...this.#children.keys()].map((name) => readRecord(this.#recordFile(name))));
    await Promise.all(records.map((record) => (record ? end(record) : undefined)));
    await Promise.all([...this.#children.keys(), 'supervisor'].map((name) => rm(this.#recordFile(name), { force: true })));
  }
}
