import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
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
  const made = await spawnDetached({ argv: ['sh', '-c', script, dir], reportsPid: false, logPath: log });
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

  it('is the one that the chain names, not the one that was started', async () => {
    const script = 'sleep 1000 & echo "{ \\"child-pid\\": $! }" >&3; wait';
    const { process, earlyExit } = await spawnDetached({ argv: ['sh', '-c', script, dir], reportsPid: true, logPath: log });
    started.push(process);
    // Until it has become the other program it is a copy of the shell.
    while ((await readFile(`/proc/${process.pid}/cmdline`, 'utf8')) !== ['sleep', '1000', ''].join('\0'))
      await new Promise((resolve) => setTimeout(resolve, 5));
    await endProcess(process, 0);
    expect(await earlyExit).toBe('exit code 0');
  });

  it('is not there when the chain ends before it names one', async () => {
    const launch = { argv: ['sh', '-c', 'echo no namespaces here; exit 3'], reportsPid: true, logPath: log };
    await expect(spawnDetached(launch)).rejects.toMatchObject({
      message: 'QEMU did not start: it ended at once with exit code 3',
      tail: 'no namespaces here',
    });
  });

  it('tells of the signal that ended the child of the one that was started', async () => {
    const { earlyExit } = await startBriefly('sh -c "kill -9 \\$\\$"; exit $?');
    expect(await earlyExit).toBe('signal SIGKILL');
  });

  it('inherits the files it is to have, after the status descriptor', async () => {
    const given = await open(path.join(dir, 'given'), 'w+');
    const argv = ['sh', '-c', 'echo through >&4; exec sleep 1000', dir];
    const made = await spawnDetached({ argv, reportsPid: false, inherited: [given.fd], logPath: log });
    started.push(made.process);
    while ((await given.stat()).size === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await given.close();
    expect(await readFile(path.join(dir, 'given'), 'utf8')).toBe('through\n');
  });

  it.each([
    "warning: TCG doesn't support requested feature: x",
    '-chardev socket: info: QEMU waiting for connection on: disconnected:unix:/x',
  ])('tells how it ended, of which no part is “%s”', async (harmless) => {
    const { earlyExit } = await startBriefly(`echo "${harmless}"; echo broken; exit 7`);
    expect(await earlyExit).toBe('exit code 7');
    expect(await tailOf(log)).toBe('broken');
  });
});
