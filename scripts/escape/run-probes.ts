import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { ExecResult } from '../../hostd/contract/machines.ts';
import type { Probe, ProbeAttempt, Reply } from './attempt.ts';
import type { World } from './world.ts';

const DEADLINE_MS = 240_000;
const PROGRAM = '/root/probe.py';

/** A text with its words in braces filled in. Braces around anything else stay: scripts are full of them. */
export function fill(text: string, words: Readonly<Record<string, string>>): string {
  return text.replace(/\{([a-z]+)\}/g, (whole, name: string) => words[name] ?? whole);
}

/** The texts that go into the guest for one probe, in the order of the program's arguments. */
function argumentsOf(probe: Probe): readonly string[] {
  switch (probe.kind) {
    case 'proxy':
      return probe.send;
    case 'tcp':
    case 'udp':
      return [probe.host, probe.port, probe.send ?? '{token}'];
    case 'sh':
      return [probe.script];
    case 'py':
      return [probe.code];
  }
}

export async function installProbes(world: World): Promise<void> {
  const program = await readFile(path.join(import.meta.dirname, 'guest', 'probe.py'));
  const body = { path: PROGRAM, dataBase64: program.toString('base64'), mode: 'replace', user: 'root' };
  await world.hostd.call('POST', `machines/${world.attacker}/write`, body);
  // What the controls find where it may be found.
  await world.exec(world.attacker, `printf %s ${world.bait.secret} >/root/control`);
}

export type Probed = { attempt: ProbeAttempt; token: string; reply: Reply };

/** Runs probes in the attacking machine, several at a time, and returns what each got; a probe without an answer was not tried. */
export async function runProbes(world: World, attempts: readonly ProbeAttempt[]): Promise<Probed[]> {
  const tries = attempts.map((attempt) => ({ attempt, token: world.newToken() }));
  const lines = tries.map(({ attempt, token }) => {
    const words = { ...world.words, token };
    const encoded = argumentsOf(attempt.probe).map((text) => Buffer.from(fill(text, words), 'latin1').toString('base64'));
    // An empty argument would vanish between the spaces.
    return [token, attempt.probe.kind, ...encoded.map((arg) => arg || '====')].join(' ');
  });
  const result = await world.hostd.call<ExecResult>('POST', `machines/${world.attacker}/exec`, {
    argv: ['python3', PROGRAM],
    user: 'root',
    stdin: `${lines.join('\n')}\n`,
    timeoutMs: DEADLINE_MS,
  });
  const answers = new Map(result.stdout.split('\n').map((line) => [line.split(' ')[0], line.split(' ')] as const));
  return tries.map(({ attempt, token }) => {
    const [, tried, encoded = ''] = answers.get(token) ?? [];
    const text = Buffer.from(encoded, 'base64').toString('latin1');
    return { attempt, token, reply: { tried: tried === 'tried', text: text || result.stderr.slice(-300) } };
  });
}
