import path from 'node:path';
import { HostdError } from '../errors.ts';
import { isErrno } from '../storage/files.ts';
import { type CgroupFiles, kernelCgroupFiles } from './cgroup-files.ts';
import type { CgroupLimits } from './limits.ts';

/** What a machine is limited in. */
export const CONTROLLERS = ['cpu', 'memory', 'io', 'pids'] as const;
export type Controller = (typeof CONTROLLERS)[number];

const EMPTY_DEADLINE_MS = 2_000;
const POLL_MS = 5;

/** Mount point of the v2 hierarchy from /proc/self/mountinfo; null when there is none. */
export function findCgroup2(mountinfo: string): string | null {
  const line = mountinfo.split('\n').find((one) => one.includes(' - cgroup2 '));
  return line?.split(' ')[4] ?? null;
}

export type CgroupPlace = {
  /** Where the v2 hierarchy is mounted. */
  mount: string;
  /** Directory in it below which machines get their cgroups; shared by all hostds of the host and without processes. */
  parent: string;
  /** Tells this hostd's machines from those of others. */
  prefix: string;
};

/** A cgroup v2 per machine below one parent. */
export class Cgroups {
  /** Those that this host passes down to machines. */
  readonly controllers: readonly Controller[];
  readonly #place: CgroupPlace;
  readonly #files: CgroupFiles;

  private constructor(place: CgroupPlace, files: CgroupFiles, controllers: readonly Controller[]) {
    this.controllers = controllers;
    this.#place = place;
    this.#files = files;
  }

  /** Makes the parent and passes controllers down as far as this host has them. @throws when it may not be written */
  static async open(place: CgroupPlace, files: CgroupFiles = kernelCgroupFiles): Promise<Cgroups> {
    const { mount, parent } = place;
    await files.makeDir(parent);
    const names = path.relative(mount, parent).split(path.sep);
    for (const depth of [mount, ...names].keys()) await enableControllers(files, path.join(mount, ...names.slice(0, depth)));
    const enabled = words(await files.read(path.join(parent, 'cgroup.subtree_control')));
    return new Cgroups(
      place,
      files,
      CONTROLLERS.filter((name) => enabled.includes(name)),
    );
  }

  #dirOf(machineId: string): string {
    return path.join(this.#place.parent, `${this.#place.prefix}-${machineId}`);
  }

  /** A cgroup with these limits, as far as their controllers are there. @returns its directory */
  async make(machineId: string, limits: CgroupLimits): Promise<string> {
    const dir = this.#dirOf(machineId);
    await this.#files.makeDir(dir);
    for (const [file, value] of Object.entries(limits)) {
      if (!(this.controllers as readonly string[]).includes(file.split('.')[0]!)) continue;
      await this.#files.write(path.join(dir, file), value).catch((cause) => {
        // A kernel without swap accounting has no such file.
        if (file === 'memory.swap.max' && isErrno(cause, 'ENOENT')) return;
        const message = `${file} of ${dir} could not be set to ${value}`;
        throw new HostdError('internal', { message, phase: 'jail.cgroup', cause });
      });
    }
    return dir;
  }

  /** Removes a machine's cgroup once its last process has left it. Safe to repeat. */
  async remove(machineId: string): Promise<void> {
    for (const deadline = performance.now() + EMPTY_DEADLINE_MS; ; ) {
      try {
        return await this.#files.removeDir(this.#dirOf(machineId));
      } catch (error) {
        if (isErrno(error, 'ENOENT')) return;
        // A process that was killed is in its cgroup until the kernel has taken it apart.
        if (!isErrno(error, 'EBUSY') || performance.now() > deadline) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }
}

/** One at a time: the kernel refuses a whole line when one of them cannot be had. */
async function enableControllers(files: CgroupFiles, dir: string): Promise<void> {
  const available = words(await files.read(path.join(dir, 'cgroup.controllers')));
  for (const name of CONTROLLERS.filter((one) => available.includes(one)))
    await files.write(path.join(dir, 'cgroup.subtree_control'), `+${name}`).catch(() => undefined);
}

function words(text: string): string[] {
  return text.trim().split(/\s+/).filter(Boolean);
}
