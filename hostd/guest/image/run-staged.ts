import { spawn } from 'node:child_process';
import readline from 'node:readline';
import { HostdError } from '../../errors.ts';

/** Told the name of each step of a build as it begins. */
export type Report = (stage: string) => void;

const STAGE = 'warren-stage: ';

/**
 * Runs a program; lines of its output that are marked as stages are reported. Rejects with the last lines of its output, or
 * `missing_dependency` when it is not installed.
 */
export async function runStaged(program: string, args: string[], report: Report, env: NodeJS.ProcessEnv): Promise<void> {
  const tail: string[] = [];
  let current = program;
  const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const read = async (stream: NodeJS.ReadableStream) => {
    for await (const line of readline.createInterface({ input: stream })) {
      if (line.startsWith(STAGE)) {
        current = line.slice(STAGE.length);
        report(current);
      } else if (tail.push(line) > 20) tail.shift();
    }
  };
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  const [code] = await Promise.all([ended, read(child.stdout), read(child.stderr)]).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    throw new HostdError('missing_dependency', {
      message: `${program} is not installed: apt-get install ${program}`,
      phase: 'image.build',
    });
  });
  if (code === 0) return;
  throw new HostdError('internal', {
    message: `${program} failed with code ${code} in stage "${current}"`,
    phase: 'image.build',
    tail: tail.join('\n'),
  });
}
