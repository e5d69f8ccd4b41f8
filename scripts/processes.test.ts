import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Supervisor } from './processes.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(path.join(os.tmpdir(), 'warren-supervisor-'));
});
afterEach(() => rm(dir, { recursive: true }));

async function groupOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2]);
}

it('keeps its parts out of the reach of a Ctrl-C in its terminal, and ends them itself', async () => {
  const supervisor = new Supervisor({ runDir: dir, logsDir: dir, cwd: dir, onExit: () => {} });
  await supervisor.start({
    name: 'part',
    argv: [process.execPath, '-e', 'setInterval(() => {}, 1e6)'],
    env: process.env,
    healthUrl: null,
  });
  const { pid } = JSON.parse(await readFile(path.join(dir, 'part.json'), 'utf8')) as { pid: number };
  expect(await groupOf(pid)).toBe(pid);
  expect(await groupOf(process.pid)).not.toBe(pid);
  await supervisor.stop();
  await expect(groupOf(pid)).rejects.toMatchObject({ code: 'ENOENT' });
});
