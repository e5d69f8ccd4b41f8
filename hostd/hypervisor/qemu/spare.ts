import { link, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import type { Confinement } from '../../jail/argv.ts';
import type { ProcessRef, Spare, SpareSpec, VmSpec } from '../driver.ts';
import { diskNode, memoryBackend } from './args.ts';
import { endProcess } from './process.ts';
import type { QmpClient } from './qmp.ts';

/**
 * A QEMU that has been started, linked and set up, and waits in its `preconfig` state: its machine is not made yet, so its memory
 * and its disk can still be chosen.
 */
export class QemuSpare implements Spare {
  readonly process: ProcessRef;
  readonly qmp: QmpClient;
  readonly confinement: Confinement;
  readonly #spec: SpareSpec;

  constructor(spec: SpareSpec, parts: { process: ProcessRef; qmp: QmpClient; confinement: Confinement }) {
    this.#spec = spec;
    this.process = parts.process;
    this.qmp = parts.qmp;
    this.confinement = parts.confinement;
  }

  /** Where its messages are until it is a machine. */
  get logPath(): string {
    return this.#spec.logPath;
  }

  /** Makes the machine, on files that appear in the one directory that the process sees. @param give lets it open them */
  async become(spec: VmSpec, give: (files: { memoryPath: string; diskPath: string }) => Promise<void>): Promise<void> {
    const { dir } = this.#spec;
    const seen = { memoryPath: path.join(dir, 'memory'), diskPath: path.join(dir, 'disk.raw') };
    await Promise.all([link(spec.memoryPath, seen.memoryPath), link(spec.diskPath, seen.diskPath)]);
    await give(seen);
    await Promise.all([
      this.qmp.execute('object-add', memoryBackend(spec.memoryMiB, seen.memoryPath)),
      this.qmp.execute('qom-set', { path: '/machine', property: 'memory-backend', value: 'ram' }),
      this.qmp.execute('blockdev-add', diskNode(seen.diskPath, false)),
      this.qmp.execute('x-exit-preconfig'),
    ]);
    // It has them open now, and needs their names no longer; its messages are the machine's from here on.
    await rm(dir, { recursive: true });
    await rename(this.#spec.logPath, spec.logPath);
  }

  async discard(): Promise<void> {
    this.qmp.close();
    await endProcess(this.process, 0);
    await rm(this.#spec.dir, { recursive: true, force: true });
  }
}
