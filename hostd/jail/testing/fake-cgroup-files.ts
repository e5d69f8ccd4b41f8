import path from 'node:path';
import type { CgroupFiles } from '../cgroup-files.ts';

type Dir = { available: ReadonlySet<string>; enabled: Set<string>; files: Map<string, string>; processes: number };

const FILES: Record<string, readonly string[]> = {
  cpu: ['cpu.max'],
  memory: ['memory.max', 'memory.swap.max', 'memory.oom.group'],
  io: ['io.max'],
  pids: ['pids.max'],
};

/**
 * A cgroup v2 hierarchy in memory, with the kernel's rules that matter here: a directory has the files of the controllers its
 * parent passes down, one that cannot be had fails the line, one with processes cannot be removed.
 */
export class FakeCgroupFiles implements CgroupFiles {
  readonly dirs = new Map<string, Dir>();

  constructor(mount: string, available: string[]) {
    this.dirs.set(mount, { available: new Set(available), enabled: new Set(), files: new Map(), processes: 0 });
  }

  async read(file: string): Promise<string> {
    const dir = this.#dirOf(file);
    if (file.endsWith('/cgroup.controllers')) return `${[...dir.available].join(' ')}\n`;
    if (file.endsWith('/cgroup.subtree_control')) return `${[...dir.enabled].join(' ')}\n`;
    throw errno('ENOENT');
  }

  async write(file: string, value: string): Promise<void> {
    const dir = this.#dirOf(file);
    const name = path.basename(file);
    if (name === 'cgroup.subtree_control') {
      const controller = value.replace(/^\+/, '');
      if (!dir.available.has(controller)) throw errno('ENOENT');
      dir.enabled.add(controller);
      return;
    }
    if (![...dir.available].some((controller) => FILES[controller]?.includes(name))) throw errno('ENOENT');
    if (value.includes('NaN')) throw errno('EINVAL');
    dir.files.set(name, value);
  }

  async makeDir(dir: string): Promise<void> {
    if (this.dirs.has(dir)) return;
    await this.makeDir(path.dirname(dir));
    const parent = this.dirs.get(path.dirname(dir))!;
    // The parent's set itself: what it passes down later is available here then.
    this.dirs.set(dir, { available: parent.enabled, enabled: new Set(), files: new Map(), processes: 0 });
  }

  async removeDir(dir: string): Promise<void> {
    const found = this.dirs.get(dir);
    if (!found) throw errno('ENOENT');
    if (found.processes > 0) throw errno('EBUSY');
    this.dirs.delete(dir);
  }

  #dirOf(file: string): Dir {
    const dir = this.dirs.get(path.dirname(file));
    if (!dir) throw errno('ENOENT');
    return dir;
  }
}

function errno(code: string): Error {
  return Object.assign(new Error(code), { code });
}
