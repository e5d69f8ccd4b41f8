import { createHash } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { HostView } from '../hostd/contract/machines.ts';
import { loadHostEnv } from '../hostd/env.ts';
import { kernelCommandLine } from '../hostd/hypervisor/qemu/args.ts';
import { type OpenHost, openHost } from '../hostd/open-host.ts';
import { type Layout, layoutOf } from '../hostd/storage/layout.ts';
import { ROOT } from '../scripts/settings.ts';
import { hashSources } from '../scripts/source-hash.ts';
import { runLogged, type StageContext, stage } from '../scripts/stage.ts';
import { type GuestSize, prepareTemplate, type Template, templateOf } from './guest/prepare.ts';
import { compileVerifier } from './guest/verifier.ts';
import { Hostd } from './hostd.ts';
import type { PlainGuest } from './peers/loadvm.ts';

/** What is kept between runs and what it is made from, beside the image and QEMU: when one of them changes it is made anew. */
const KEPT = [
  { name: 'hostd', sources: ['bench/guest', 'hostd/machines', 'hostd/hypervisor', 'hostd/storage', 'hostd/guest'] },
  { name: 'peers', sources: ['bench/guest', 'bench/peers'] },
] as const;

/**
 * Where the bench works: a directory on the file system that hostd's data directory is on, with a data directory of its own for
 * the hostd it measures and one for the peers. Prepared guests are kept between runs.
 */
export class Workspace {
  readonly host: OpenHost;
  readonly dir: string;
  readonly logsDir: string;
  readonly runDir: string;
  #hostd: Hostd | null = null;
  #other: Hostd | null = null;

  private constructor(host: OpenHost, dir: string, logsDir: string) {
    this.host = host;
    this.dir = dir;
    this.logsDir = logsDir;
    // The same in every run: a state that libvirt saved holds the names of its sockets.
    this.runDir = path.join(os.tmpdir(), `warren-bench-${createHash('sha256').update(dir).digest('hex').slice(0, 8)}`);
  }

  /** @param baseDir data directory of a hostd, with the image in it */
  static async open(baseDir: string, logsDir: string): Promise<Workspace> {
    const host = await openHost(loadHostEnv({ ...process.env, HOSTD_DATA_DIR: baseDir }));
    const dir = path.join(baseDir, 'bench');
    for (const { name, sources } of KEPT) {
      const kept = path.join(dir, name);
      const key = `${host.imageIds.base} ${host.driver.platform.qemuVersion} ${await hashSources(ROOT, sources)}`;
      if ((await readFile(`${kept}.key`, 'utf8').catch(() => '')) !== key) {
        // The images are somebody else's.
        await rm(path.join(kept, 'images'), { force: true });
        await rm(kept, { recursive: true, force: true });
      }
      await mkdir(kept, { recursive: true, mode: 0o700 });
      await writeFile(`${kept}.key`, key);
    }
    await mkdir(logsDir, { recursive: true });
    const workspace = new Workspace(host, dir, logsDir);
    await mkdir(workspace.runDir, { recursive: true, mode: 0o700 });
    return workspace;
  }

  get #hostdDir(): string {
    return path.join(this.dir, 'hostd');
  }

  get #otherDir(): string {
    return path.join(this.dir, 'other-hostd');
  }

  get #storeDir(): string {
    return path.join(this.dir, 'objects');
  }

  /** Of the hostd that is measured. */
  get layout(): Layout {
    return layoutOf(this.#hostdDir);
  }

  get peersDir(): string {
    return path.join(this.dir, 'peers');
  }

  /** The hostd that is measured, started at the first call. */
  async hostd(): Promise<Hostd> {
    this.#hostd ??= await this.#start(this.#hostdDir, 'bench-hostd.log');
    return this.#hostd;
  }

  /** Another host, which shares nothing with that one but the object store. Its data directory is gone after the run. */
  async otherHostd(): Promise<Hostd> {
    if (this.#other) return this.#other;
    // What a run that was killed left behind.
    await rm(this.#otherDir, { recursive: true, force: true });
    this.#other = await this.#start(this.#otherDir, 'bench-other-hostd.log');
    return this.#other;
  }

  #start(dataDir: string, log: string): Promise<Hostd> {
    return Hostd.start({
      dataDir,
      imagesDir: this.host.layout.images,
      accelerator: this.host.driver.platform.accelerator,
      logPath: path.join(this.logsDir, log),
      objectStore: `file://${this.#storeDir}`,
    });
  }

  async hostView(): Promise<HostView> {
    return (await this.hostd()).client.host();
  }

  /** @returns the snapshot to fork guests of this size from, made when it is not there */
  async template(size: GuestSize): Promise<Template & { snapshotId: string }> {
    const hostd = await this.hostd();
    const snapshotId = templateOf(size);
    const file = path.join(this.#hostdDir, `bench-${size.name}.json`);
    const known = await readFile(file, 'utf8').then(
      (text) => JSON.parse(text) as Template,
      () => null,
    );
    const exists = (await hostd.client.snapshots()).some((snapshot) => snapshot.snapshotId === snapshotId);
    if (known && exists) return { snapshotId, ...known };
    let made: Template = { inUseMiB: 0, secret: '' };
    await stage(`guest of ${size.memoryMiB} MiB`, async ({ note }) => {
      made = await prepareTemplate(hostd, size, await compileVerifier(this.dir), note);
      await writeFile(file, JSON.stringify(made), { mode: 0o600 });
      return `${made.inUseMiB} MiB in use`;
    });
    return { snapshotId, ...made };
  }

  /** What peers are made of: the template's disk, the image's kernel, the same hardware. */
  plain(size: GuestSize, name: string): PlainGuest {
    const { platform } = this.host.driver;
    const image = this.host.layout.image(this.host.imageIds.base);
    return {
      filesDir: this.peersDir,
      socketDir: path.join(this.runDir, name),
      size,
      platform,
      kernel: image.kernel,
      initrd: image.initrd,
      append: kernelCommandLine(platform.accelerator),
      preparedDisk: this.layout.snapshot(templateOf(size)).disk,
    };
  }

  async close(): Promise<void> {
    await this.#hostd?.stop();
    await this.#other?.stop();
    [this.#hostd, this.#other] = [null, null];
    for (const dir of [this.#otherDir, this.#storeDir, this.runDir]) await rm(dir, { recursive: true, force: true });
  }
}

/** Builds the image of the current recipe unless it is there. */
export async function ensureImage(baseDir: string, logsDir: string, ctx: StageContext): Promise<void> {
  await runLogged(
    {
      argv: ['node', 'hostd/guest/image/build.ts'],
      cwd: ROOT,
      env: { HOSTD_DATA_DIR: baseDir },
      logPath: path.join(logsDir, 'image-build.log'),
      nextStep: 'see the log',
    },
    ctx,
  );
}
