import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

/** Runs the commands that a page shows, in an empty directory, with git signing in by this token. @throws with git's words */
export async function runAsPerson(commands: string, token: string): Promise<void> {
  const cwd = await mkdtemp(path.join(tmpdir(), 'warren-person-'));
  const config = {
    'user.name': 'Ada',
    'user.email': 'ada@example.com',
    'credential.helper': `!f() { echo username=ada; echo password=${token}; }; f`,
  };
  const env: Record<string, string | undefined> = {
    PATH: process.env.PATH,
    HOME: cwd,
    LC_ALL: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_CONFIG_COUNT: String(Object.keys(config).length),
  };
  for (const [index, [key, value]] of Object.entries(config).entries()) {
    env[`GIT_CONFIG_KEY_${index}`] = key;
    env[`GIT_CONFIG_VALUE_${index}`] = value;
  }
  try {
    await promisify(execFile)('bash', ['-e', '-c', commands], { cwd, env: env as NodeJS.ProcessEnv });
  } finally {
    await rm(cwd, { recursive: true, force: true });
  }
}
