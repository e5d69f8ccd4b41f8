import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ProcessRef } from '../driver.ts';
import { endProcess, findByArgument, isAlive, spawnDetached, tailOf, waitGone } from './process.ts';

let dir: string;
let log: string;
const started: ProcessRef[] = [];

beforeEach(async () => {
  dir = await mkdtemp(path.join(os.tmpdir(), 'warren-process-'));
  log = path.join(dir, 'log');
});
afterEach(async () => {
  for (const ref of started.splice(0)) await endProcess(ref, 0);
  await rm(dir, { recursive: true });
});

/** The directory is the script's `$0`. */
const start = async (script: string) => {
  const made = await spawnDetached('sh', ['-c', script, dir], log);
  started.push(made.process);
  return made;
};
/** Ends only once it was seen alive. */
const startBriefly = async (script: string) => {
  const made = await start(`while [ ! -e "$0/go" ]; do sleep 0.01; done; ${script}`);
  await writeFile(path.join(dir, 'go'), '');
  return made;
};

describe('a process', () => {
  it('is ended, and ending it again is fine', async () => {
    const { process } = await start('exec sleep 1000');
    expect(await isAlive(process)).toBe(true);
    await endProcess(process);
    expect(await isAlive(process)).toBe(false);
    await endProcess(process);
    expect(await readFile(`/proc/${process.pid}/stat`, 'utf8').catch(() => 'gone')).toBe('gone');
  });

  it('is ended when it ignores a polite request', async () => {
    const { process } = await start('trap "" TERM; echo ready; while :; do sleep 1; done');
    while (!(await readFile(log, 'utf8')).includes('ready')) await new Promise((resolve) => setTimeout(resolve, 5));
    await endProcess(process, 50);
    expect(await isAlive(process)).toBe(false);
  });

  it('is left alone when only its pid fits', async () => {
    const { process } = await start('exec sleep 1000');
    const other = { ...process, startTimeTicks: '1' };
    expect(await isAlive(other)).toBe(false);
    await endProcess(other, 0);
    expect(await isAlive(process)).toBe(true);
    expect(await waitGone(process, 20)).toBe(false);
  });

  it('is found by a path among its arguments', async () => {
    const { process } = await start('sleep 1000; true');
    expect(await findByArgument(dir)).toContainEqual(process);
    expect(await findByArgument(`${dir}-other`)).toEqual([]);
  });

  it('holds no capabilities and leaves no core file', async () => {
    const { earlyExit } = await startBriefly('grep -E "CapEff|NoNewPrivs" /proc/self/status; ulimit -c');
    expect(await earlyExit).toBe('exit code 0');
    expect((await tailOf(log)).split(/\s+/)).toEqual(['CapEff:', '0000000000000000', 'NoNewPrivs:', '1', '0']);
  });

  it('tells how it ended, and harmless warnings are no part of the story', async () => {
    const { earlyExit } = await startBriefly('echo "warning: TCG doesn\'t support requested feature: x"; echo broken; exit 7');
    expect(await earlyExit).toBe('exit code 7');
    expect(await tailOf(log)).toBe('broken');
  });
});
