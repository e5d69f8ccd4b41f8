import { execFile } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import type { GuestAgent } from '../machines/guest-port.ts';
import { execByAgent } from './agent-exec.ts';

const answering = (exitCode: number, stdout = '') => {
  const calls: string[][] = [];
  const agent = {
    exec: async (argv: string[]) => {
      calls.push(argv);
      return { exitCode, stdout, stderr: '' };
    },
  } as unknown as GuestAgent;
  return { agent, calls };
};

describe('a command run through the guest agent', () => {
  it('is the one that SSH would run, with the environment that sshd would give it', async () => {
    const { agent, calls } = answering(0, 'out');
    const request = { argv: ['printf', '%s', "it's"], user: 'root', cwd: '/', timeoutMs: 5_000 } as const;
    expect(await execByAgent(agent, request)).toMatchObject({ exitCode: 0, signal: null, timedOut: false, stdout: 'out' });
    const [program, flag, script] = calls[0]!;
    expect([program, flag]).toEqual(['/bin/sh', '-c']);
    expect(script).toMatch(/^set -a; \. \/etc\/environment; set \+a; cd '?\/'? /);
    // Read by a real shell it is what was asked for; the file of another computer is left out.
    const read = script!.replace('. /etc/environment', ':');
    const printed = await new Promise((resolve) => execFile('/bin/bash', ['-c', read], (_error, stdout) => resolve(stdout)));
    expect(printed).toBe("it's");
  });

  it('that was ended has no exit code', async () => {
    const request = { argv: ['sleep', '9'], user: 'root', timeoutMs: 0.01 } as const;
    expect(await execByAgent(answering(124).agent, request)).toMatchObject({ timedOut: true, exitCode: null });
    expect(await execByAgent(answering(-1).agent, { ...request, timeoutMs: 5_000 })).toMatchObject({
      timedOut: false,
      exitCode: null,
    });
  });
});
