import { execFile } from 'node:child_process';
import { rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { fillMemory, type GuestSize } from '../guest/prepare.ts';
import { proveAwake, proveBooted, renewSecret } from '../guest/verifier.ts';
import type { Side, SleepTimes, WakeTimes } from '../side.ts';
import { PlainQemu, type PlainSpec } from './plain-qemu.ts';

const run = promisify(execFile);
const BOOT_DEADLINE_MS = 5 * 60_000;
export const LOADVM_TAG = 'warren-bench';
const TAG = LOADVM_TAG;

export type PlainGuest = {
  /** Where its files are, on the file system that hostd uses. */
  filesDir: string;
  /** Short, for its sockets. */
  socketDir: string;
  size: GuestSize;
  platform: PlainSpec['platform'];
  kernel: string;
  initrd: string;
  append: string;
  /** Raw disk of the template that hostd made. */
  preparedDisk: string;
};

/** A qcow2 image with a saved guest in it, and the secret that guest made last. */
export type LoadvmImage = { disk: string; secret: string };

/** A qcow2 image with the contents of the prepared disk, whole: no backing file that a read would have to go through. */
export async function makeDisk(guest: PlainGuest, name: string): Promise<string> {
  const disk = path.join(guest.filesDir, `${name}.qcow2`);
  await run('qemu-img', ['convert', '-q', '-f', 'raw', '-O', 'qcow2', guest.preparedDisk, disk]);
  return disk;
}

/** Boots the prepared disk under plain QEMU. @returns the machine and how long it took to an answer that proves that it runs */
export async function bootPlain(guest: PlainGuest, disk: string): Promise<{ vm: PlainQemu; replyMs: number }> {
  const { socketDir, size, platform, kernel, initrd, append } = guest;
  const begin = { kind: 'boot', kernel, initrd, append } as const;
  const startedAt = performance.now();
  const vm = await PlainQemu.start({ dir: socketDir, memoryMiB: size.memoryMiB, disk, platform, begin });
  await proveBooted(vm.guest(BOOT_DEADLINE_MS));
  return { vm, replyMs: performance.now() - startedAt };
}

/** QEMU's own snapshots: `savevm` into the qcow2 image, `-loadvm` at the next start. */
export class LoadvmSide implements Side {
  readonly name = 'loadvm';
  readonly #guest: PlainGuest;
  readonly #disk: string;
  #vm: PlainQemu | null = null;
  #secret = '';
  /** How long the guest stood still in each `savevm`. */
  readonly savevmMs: number[] = [];

  private constructor(guest: PlainGuest, disk: string) {
    this.#guest = guest;
    this.#disk = disk;
  }

  /** @param imagePath where the image with the saved state is kept for further runs; made when it is not there */
  static async open(guest: PlainGuest, name: string): Promise<LoadvmSide> {
    const disk = path.join(guest.filesDir, `${name}.qcow2`);
    const side = new LoadvmSide(guest, disk);
    const exists = await stat(disk).then(
      () => true,
      () => false,
    );
    if (exists) {
      side.#vm = await side.#load();
    } else {
      const made = await makeDisk(guest, `${name}-new`);
      const { vm } = await bootPlain(guest, made);
      side.#vm = vm;
      await fillMemory(vm.guest(BOOT_DEADLINE_MS), guest.size);
      await vm.monitor(`savevm ${TAG}`);
      await vm.quit();
      await run('mv', [made, disk]);
      side.#vm = await side.#load();
    }
    await side.sleep();
    return side;
  }

  #load(): Promise<PlainQemu> {
    const { socketDir, size, platform } = this.#guest;
    const begin = { kind: 'loadvm', tag: TAG } as const;
    return PlainQemu.start({ dir: socketDir, memoryMiB: size.memoryMiB, disk: this.#disk, platform, begin });
  }

  /** The image as it is while this side sleeps, for others to load copies of. */
  get image(): LoadvmImage {
    return { disk: this.#disk, secret: this.#secret };
  }

  get vm(): PlainQemu {
    if (!this.#vm) throw new Error('the peer sleeps');
    return this.#vm;
  }

  /** A snapshot of the machine while it runs; it stands still meanwhile. */
  async save(): Promise<void> {
    await this.vm.monitor(`delvm ${TAG}`);
    const startedAt = performance.now();
    await this.vm.monitor(`savevm ${TAG}`);
    this.savevmMs.push(performance.now() - startedAt);
  }

  async sleep(): Promise<SleepTimes> {
    const vm = this.vm;
    this.#secret = await renewSecret(vm.guest(BOOT_DEADLINE_MS));
    const startedAt = performance.now();
    await this.save();
    await vm.quit();
    this.#vm = null;
    return { releasedMs: performance.now() - startedAt };
  }

  async wake(): Promise<WakeTimes> {
    const startedAt = performance.now();
    this.#vm = await this.#load();
    const saidDoneMs = performance.now() - startedAt;
    await proveAwake(this.#vm.guest(BOOT_DEADLINE_MS), this.#secret);
    return { replyMs: performance.now() - startedAt, saidDoneMs };
  }

  async close(): Promise<void> {
    await this.#vm?.kill();
    this.#vm = null;
    await rm(this.#guest.socketDir, { recursive: true, force: true });
  }
}
