import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';

/*
 * Set-up as a list of named stages: each shows that it runs, for how long and its newest line of output, and ends with
 * the time it took. A stage that fails says why, shows the tail of its log and what to do next; stages keep what they
 * finished, so a second run carries on from there.
 */
export class StageError extends Error {
  override readonly name = 'StageError';
  readonly nextStep: string;
  readonly logPath: string | null;
  readonly tail: string;

  constructor(message: string, options: { nextStep: string; logPath?: string; tail?: string; cause?: unknown }) {
    super(message, { cause: options.cause });
    this.nextStep = options.nextStep;
    this.logPath = options.logPath ?? null;
    this.tail = options.tail ?? '';
  }
}

export type StageContext = { note: (line: string) => void };

const TICK_MS = 1000;
const TAIL_LINES = 15;
const isTty = process.stdout.isTTY === true;

function seconds(sinceMs: number): string {
  return `${((performance.now() - sinceMs) / 1000).toFixed(1)} s`;
}

/** Runs one stage; `run` may return a short remark that is shown behind its time ("cached"). */
export async function stage(title: string, run: (ctx: StageContext) => Promise<string> | Promise<void>): Promise<void> {
  const startedAt = performance.now();
  let newest = '';
  const draw = () => {
    const line = `  … ${title} (${seconds(startedAt)})${newest ? `: ${newest}` : ''}`;
    process.stdout.write(`\r\x1b[K${line.slice(0, (process.stdout.columns ?? 100) - 1)}`);
  };
  if (!isTty) console.log(`  … ${title}`);
  const timer = isTty ? setInterval(draw, TICK_MS) : undefined;
  try {
    const remark = await run({ note: (line) => (newest = line) });
    clearInterval(timer);
    process.stdout.write(`${isTty ? '\r\x1b[K' : ''}  ✓ ${title} (${seconds(startedAt)}${remark ? `, ${remark}` : ''})\n`);
  } catch (cause) {
    clearInterval(timer);
    process.stdout.write(`${isTty ? '\r\x1b[K' : ''}  ✗ ${title} (${seconds(startedAt)})\n`);
    throw cause;
  }
}

/** Prints a failed stage for a person: cause, tail of the log, next step. */
export function reportFailure(cause: unknown): void {
  const error = cause instanceof Error ? cause : new Error(String(cause));
  console.error(`\n  ${error.message.trim().split('\n').join('\n  ')}`);
  if (error instanceof StageError) {
    if (error.tail)
      console.error(
        `\n${error.tail
          .split('\n')
          .map((line) => `    ${line}`)
          .join('\n')}`,
      );
    if (error.logPath) console.error(`\n  Whole log: ${error.logPath}`);
    console.error(`  Next step: ${error.nextStep}`);
  } else {
    console.error(`  ${error.stack ?? ''}`);
  }
  console.error('  Finished stages are kept: the same command carries on from here.\n');
}

export type Command = {
  argv: [string, ...string[]];
  cwd: string;
  env?: Record<string, string | undefined>;
  logPath: string;
  nextStep: string;
};

/** Runs a program with its output in a log file; its newest line becomes the stage's note. */
export async function runLogged(command: Command, ctx: StageContext): Promise<void> {
  await mkdir(path.dirname(command.logPath), { recursive: true });
  const log = createWriteStream(command.logPath);
  const [file, ...args] = command.argv;
  const child = spawn(file, args, {
    cwd: command.cwd,
    env: { ...process.env, ...command.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let tail: string[] = [];
  const take = (chunk: Buffer) => {
    log.write(chunk);
    const lines = chunk
      .toString('utf8')
      .split(/\r?\n|\r/)
      .filter((line) => line.trim() !== '');
    tail = [...tail, ...lines].slice(-TAIL_LINES);
    const last = lines.at(-1);
    if (last) ctx.note(last.trim());
  };
  child.stdout.on('data', take);
  child.stderr.on('data', take);
  const outcome = await new Promise<string | null>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code, signal) => resolve(code === 0 ? null : signal ? `ended by ${signal}` : `exit code ${code}`));
  });
  log.end();
  if (outcome !== null) {
    const { logPath, nextStep } = command;
    throw new StageError(`${file} failed: ${outcome}`, { nextStep, logPath, tail: tail.join('\n') });
  }
}
