import { execFile } from 'node:child_process';
import os from 'node:os';
import { promisify } from 'node:util';
import type { HostView } from '../hostd/contract/machines.ts';

const run = promisify(execFile);

/** Where and of what a result is. Figures of two fingerprints are compared by their ratios only. */
export type Fingerprint = {
  date: string;
  commit: string;
  /** Files that differ from the commit. */
  dirty: number;
  accelerator: string;
  qemuVersion: string;
  kernel: string;
  cpu: string;
  cores: number;
  memoryMiB: number;
  reflink: boolean;
  node: string;
  /** One, five and fifteen minutes, before the first measurement. */
  load: number[];
};

export async function fingerprint(root: string, host: HostView): Promise<Fingerprint> {
  const git = async (...args: string[]) => (await run('git', ['-C', root, ...args])).stdout.trim();
  const changed = await git('status', '--porcelain').catch(() => '');
  return {
    date: new Date().toISOString(),
    commit: await git('rev-parse', '--short=12', 'HEAD').catch(() => 'unknown'),
    dirty: changed === '' ? 0 : changed.split('\n').length,
    accelerator: host.accelerator,
    qemuVersion: host.qemuVersion,
    kernel: os.release(),
    cpu: os.cpus()[0]?.model ?? 'unknown',
    cores: os.availableParallelism(),
    memoryMiB: host.memoryMiB,
    reflink: host.reflink,
    node: process.version,
    load: os.loadavg().map((value) => Math.round(value * 100) / 100),
  };
}
