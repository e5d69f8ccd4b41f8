import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { access, mkdir, mkdtemp, open, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

/*
 * A real block device that fails when it is told to: nbdkit serves a file through its `error` and `delay` filters, nbdfuse
 * shows that as a file, a loop device makes a disk of it, and XFS lives on the disk. What hostd meets is what it would meet on
 * a dying disk: the kernel's own EIO, delayed and in the middle of anything.
 */
const run = promisify(execFile);
const DISK_BYTES = 6 * 1024 ** 3;
const APPEARS_MS_MAX = 10_000;
const APPEARS_POLL_MS = 20;

export type DiskOptions = {
  /** Every write takes this much longer. */
  writeDelayMs: number;
};

export class FaultyDisk {
  readonly #dir: string;
  readonly #programs: ChildProcess[] = [];
  #loop = '';

  private constructor(dir: string) {
    this.#dir = dir;
  }

  /** @returns why there can be none here; null when there can */
  static async whyNot(): Promise<string | null> {
    if (process.getuid?.() !== 0) return 'only root can make block devices';
    for (const tool of ['nbdkit', 'nbdfuse', 'losetup', 'mkfs.xfs']) {
      const isThere = await run('which', [tool]).then(
        () => true,
        () => false,
      );
      if (!isThere) return `${tool} is not installed (apt-get install nbdkit libnbd-bin xfsprogs)`;
    }
    return access('/dev/fuse').then(
      () => null,
      () => 'there is no /dev/fuse',
    );
  }

  static async make(options: DiskOptions): Promise<FaultyDisk> {
    const disk = new FaultyDisk(await mkdtemp(path.join(os.tmpdir(), 'warren-faulty-disk-')));
    try {
      await disk.#attach(options);
      await run('mkfs.xfs', ['-q', '-m', 'reflink=1', disk.#loop]);
      await disk.mount();
      return disk;
    } catch (error) {
      await disk.destroy();
      throw error;
    }
  }

  /** Where the file system is mounted. */
  get root(): string {
    return path.join(this.#dir, 'root');
  }

  get #trigger(): string {
    return path.join(this.#dir, 'failing');
  }

  async #attach({ writeDelayMs }: DiskOptions): Promise<void> {
    const [backing, socket, shown] = ['backing', 'socket', 'shown'].map((name) => path.join(this.#dir, name)) as [
      string,
      string,
      string,
    ];
    await Promise.all([this.root, shown].map((dir) => mkdir(dir)));
    const handle = await open(backing, 'wx', 0o600);
    await handle.truncate(DISK_BYTES).finally(() => handle.close());
    const failing = ['pwrite', 'trim', 'zero'].flatMap((verb) => [
      `error-${verb}=EIO`,
      `error-${verb}-rate=100%`,
      `error-${verb}-file=${this.#trigger}`,
    ]);
    const delay = writeDelayMs > 0 ? [`delay-write=${writeDelayMs}ms`] : [];
    this.#start('nbdkit', ['-f', '-U', socket, '--filter=error', '--filter=delay', 'file', backing, ...failing, ...delay]);
    await appears(socket);
    this.#start('nbdfuse', [path.join(shown, 'disk'), '--unix', socket]);
    await appears(path.join(shown, 'disk'));
    this.#loop = (await run('losetup', ['--find', '--show', path.join(shown, 'disk')])).stdout.trim();
  }

  #start(program: string, args: string[]): void {
    this.#programs.push(spawn(program, args, { stdio: 'ignore' }));
  }

  async mount(): Promise<void> {
    await run('mount', ['-o', 'noatime,nodev,nosuid', this.#loop, this.root]);
  }

  /** After every user of it is gone, as a reboot would: what never reached the disk is not there at the next mount. */
  async unmount(): Promise<void> {
    await run('umount', [this.root]);
  }

  /** From now on every write to the device fails with EIO, or none does. */
  async fail(isFailing: boolean): Promise<void> {
    if (isFailing) await writeFile(this.#trigger, '');
    else await rm(this.#trigger, { force: true });
  }

  /** Fills the file system up to `leftBytes`. @returns how to give the space back */
  async fill(leftBytes: number): Promise<() => Promise<void>> {
    const filler = path.join(this.root, 'filler');
    const { stdout } = await run('stat', ['--file-system', '--format=%a %S', this.root]);
    const [blocks = 0, blockBytes = 0] = stdout.split(' ').map(Number);
    await run('fallocate', ['--length', String(Math.max(4096, blocks * blockBytes - leftBytes)), filler]);
    return () => rm(filler);
  }

  async destroy(): Promise<void> {
    await this.fail(false);
    await this.unmount().catch(() => {});
    if (this.#loop !== '') await run('losetup', ['--detach', this.#loop]).catch(() => {});
    await run('umount', [path.join(this.#dir, 'shown')]).catch(() => {});
    for (const program of this.#programs.reverse()) {
      if (program.exitCode !== null || program.signalCode !== null) continue;
      const gone = new Promise((resolve) => program.once('exit', resolve));
      program.kill('SIGTERM');
      await gone;
    }
    await rm(this.#dir, { recursive: true, force: true });
  }
}

async function appears(file: string): Promise<void> {
  for (const deadline = performance.now() + APPEARS_MS_MAX; performance.now() < deadline; ) {
    const isThere = await stat(file).then(
      () => true,
      () => false,
    );
    if (isThere) return;
    await new Promise((resolve) => setTimeout(resolve, APPEARS_POLL_MS));
  }
  throw new Error(`${file} did not appear within ${APPEARS_MS_MAX / 1000} s`);
}
