import { randomBytes } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { messageOf } from '../errors.ts';
import type { Driver, Spare } from '../hypervisor/driver.ts';
import type { Logger } from '../logger.ts';
import type { Layout } from '../storage/layout.ts';
import type { StoredManifest } from '../storage/snapshots.ts';

/*
 * QEMU processes that are started and wait to become machines: a start is what takes most of a wake. They hold nothing of
 * anybody. Which exist is in memory alone: a hostd that starts ends those that no machine was made of.
 */

/** Beside the guest's memory, which a spare does not have yet. Measured: 10.5 MiB of its own, the rest shared by all QEMUs. */
export const SPARE_MIB = 24;
const PREFIX = 'spr_';

export type Size = { memoryMiB: number; vcpus: number; diskBytes: number };
export type TakenSpare = { spareId: string; spare: Spare };

type Options = { layout: Layout; driver: Driver; log: Logger; count: number };

export class Spares {
  readonly #options: Options;
  #waiting: (TakenSpare & { size: Size })[] = [];
  #making: Promise<void> = Promise.resolve();
  #isClosed = false;

  /** @param options.count how many wait; 0 for none */
  constructor(options: Options) {
    this.#options = options;
  }

  get heldMiB(): number {
    return this.#options.count * SPARE_MIB;
  }

  /** One that fits exactly, if it is still alive. It is the caller's from then on. */
  async take(size: Size): Promise<TakenSpare | null> {
    for (;;) {
      const found = this.#waiting.find((one) => isSame(one.size, size));
      if (!found) return null;
      this.#waiting = this.#waiting.filter((one) => one !== found);
      const { spareId, spare } = found;
      if (await this.#options.driver.isAlive(spare.process)) return { spareId, spare };
      await this.#clear(spareId, spare);
    }
  }

  /** Makes as many as are missing, of this size, in the background; those of another size give way. */
  refill(size: Size): void {
    if (this.#options.count === 0) return;
    this.#making = this.#making
      .then(() => this.#fill(size))
      .catch((error) =>
        this.#options.log.warn({ event: 'spare.failed', reason: messageOf(error) }, 'no process could be started to wait'),
      );
  }

  async #fill(size: Size): Promise<void> {
    for (const other of this.#waiting.filter((one) => !isSame(one.size, size))) {
      this.#waiting = this.#waiting.filter((one) => one !== other);
      await this.#clear(other.spareId, other.spare);
    }
    while (!this.#isClosed && this.#waiting.length < this.#options.count) {
      const { layout, driver } = this.#options;
      const spareId = `${PREFIX}${randomBytes(8).toString('hex')}`;
      const { dir, log } = layout.spare(spareId);
      const { machineType, cpuModel } = driver.platform;
      const socketDir = layout.sockets(spareId).dir;
      const spare = await driver.makeSpare({ ...size, spareId, dir, logPath: log, socketDir, machineType, cpuModel });
      this.#waiting.push({ spareId, spare, size });
      this.#options.log.info({ event: 'spare.waiting', spareId, ...size }, 'a process waits to become a machine');
    }
  }

  async #clear(spareId: string, spare: Spare): Promise<void> {
    await spare.discard();
    await clearPlace(this.#options, spareId);
  }

  /** Ends what waits. The next hostd would do the same. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#making;
    for (const { spareId, spare } of this.#waiting.splice(0)) await this.#clear(spareId, spare);
  }
}

/** Ends what a former hostd kept waiting. @param isMachine says of which a machine was made */
export async function endSpares(
  options: Pick<Options, 'layout' | 'driver'>,
  isMachine: (spareId: string) => boolean,
): Promise<void> {
  const { layout, driver } = options;
  const names = [...(await readdir(layout.runDir)), ...(await readdir(layout.spares)).map((name) => path.parse(name).name)];
  for (const spareId of new Set(names.filter((name) => name.startsWith(PREFIX) && !isMachine(name)))) {
    await driver.killUnrecorded(layout.sockets(spareId).dir);
    await clearPlace(options, spareId);
  }
}

async function clearPlace({ layout, driver }: Pick<Options, 'layout' | 'driver'>, spareId: string): Promise<void> {
  const socketDir = layout.sockets(spareId).dir;
  await driver.vacate({ machineId: spareId, socketDir, files: [] });
  const { dir, log } = layout.spare(spareId);
  for (const target of [dir, log, socketDir]) await rm(target, { recursive: true, force: true });
}

export function sizeOf({ memoryMiB, vcpus, files }: Pick<StoredManifest, 'memoryMiB' | 'vcpus' | 'files'>): Size {
  return { memoryMiB, vcpus, diskBytes: files.disk?.bytes ?? 0 };
}

function isSame(a: Size, b: Size): boolean {
  return a.memoryMiB === b.memoryMiB && a.vcpus === b.vcpus && a.diskBytes === b.diskBytes;
}
