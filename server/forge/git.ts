import { spawn } from 'node:child_process';

/*
 * Runs the git CLI: argument arrays, no shell, an environment of our own making (no system or user configuration, no
 * prompts, fixed language), a deadline, and a cap on what it may print.
 */
export type GitOptions = {
  /** The bare repository; absent for commands that need none. */
  gitDir?: string;
  input?: string | Buffer;
  env?: Record<string, string>;
  timeoutMs?: number;
  outputBytesMax?: number;
};

export type GitResult = { exitCode: number; stdout: Buffer; stderr: string };

const TIMEOUT_MS = 30_000;
const OUTPUT_BYTES_MAX = 16 * 1024 * 1024;
const STDERR_CHARS_MAX = 8_192;

/** Configuration every git process of ours gets, as `git -c`-like variables that child processes inherit. */
export function gitEnv(config: Record<string, string> = {}): NodeJS.ProcessEnv {
  const entries = Object.entries({ 'gc.auto': '0', 'safe.directory': '*', ...config });
  const env: Record<string, string> = {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: '/nonexistent',
    LC_ALL: 'C.UTF-8',
    TZ: 'UTC',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_TERMINAL_PROMPT: '0',
    GIT_CONFIG_COUNT: String(entries.length),
  };
  for (const [index, [key, value]] of entries.entries()) {
    env[`GIT_CONFIG_KEY_${index}`] = key;
    env[`GIT_CONFIG_VALUE_${index}`] = value;
  }
  // Next declares NODE_ENV as always there; git has no use for it.
  return env as NodeJS.ProcessEnv;
}

/** Who a commit that we make ourselves is by. @param date ISO 8601 */
export function identityEnv(person: { name: string; email: string }, date: string): Record<string, string> {
  return {
    GIT_AUTHOR_NAME: person.name,
    GIT_AUTHOR_EMAIL: person.email,
    GIT_AUTHOR_DATE: date,
    GIT_COMMITTER_NAME: person.name,
    GIT_COMMITTER_EMAIL: person.email,
    GIT_COMMITTER_DATE: date,
  };
}

export class GitError extends Error {
  readonly exitCode: number | null;
  readonly stderr: string;

  constructor(message: string, { exitCode = null, stderr = '' }: { exitCode?: number | null; stderr?: string } = {}) {
    super(stderr ? `${message}: ${stderr.trim().slice(0, 500)}` : message);
    this.name = 'GitError';
    this.exitCode = exitCode;
    this.stderr = stderr;
  }
}

/**
 * Runs git and gives back its exit code, whatever it is.
 *
 * @throws GitError when git cannot be started, takes longer than the deadline or prints more than the cap
 */
export function tryGit(args: readonly string[], options: GitOptions = {}): Promise<GitResult> {
  const { gitDir, input, env, timeoutMs = TIMEOUT_MS, outputBytesMax = OUTPUT_BYTES_MAX } = options;
  const argv = gitDir ? [`--git-dir=${gitDir}`, ...args] : [...args];
  const name = `git ${args[0] ?? ''}`;
  return new Promise((resolve, reject) => {
    const child = spawn('git', argv, {
      env: { ...gitEnv(), ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: timeoutMs,
      killSignal: 'SIGKILL',
    });
    const chunks: Buffer[] = [];
    let bytes = 0;
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > outputBytesMax) child.kill('SIGKILL');
      else chunks.push(chunk);
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      if (stderr.length < STDERR_CHARS_MAX) stderr += text;
    });
    // git may end before it read everything.
    child.stdin.on('error', () => {});
    child.stdin.end(input);
    child.on('error', (cause) => reject(new GitError(`${name} could not be started: ${cause.message}`)));
    child.on('close', (exitCode) => {
      if (bytes > outputBytesMax) reject(new GitError(`${name} printed more than ${outputBytesMax} bytes`));
      else if (exitCode === null) reject(new GitError(`${name} took longer than ${timeoutMs} ms`, { stderr }));
      else resolve({ exitCode, stdout: Buffer.concat(chunks), stderr });
    });
  });
}

/** Runs git and gives back what it printed. @throws GitError also when it exits with anything but 0 */
export async function git(args: readonly string[], options: GitOptions = {}): Promise<string> {
  const result = await tryGit(args, options);
  if (result.exitCode !== 0) {
    throw new GitError(`git ${args[0] ?? ''} exited with ${result.exitCode}`, {
      exitCode: result.exitCode,
      stderr: result.stderr,
    });
  }
  return result.stdout.toString('utf8');
}
