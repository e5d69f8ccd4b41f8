import { mkdir, readFile, rmdir, writeFile } from 'node:fs/promises';

/** The calls that cgroup v2 is used through; a cgroup is a directory, its settings are files. Paths are absolute. */
export interface CgroupFiles {
  read(file: string): Promise<string>;
  write(file: string, value: string): Promise<void>;
  /** With those above it. No error when it is there. */
  makeDir(dir: string): Promise<void>;
  /** @throws `EBUSY` while a process is in it, `ENOENT` when it is not there */
  removeDir(dir: string): Promise<void>;
}

export const kernelCgroupFiles: CgroupFiles = {
  read: (file) => readFile(file, 'utf8'),
  write: (file, value) => writeFile(file, value),
  makeDir: async (dir) => void (await mkdir(dir, { recursive: true })),
  removeDir: (dir) => rmdir(dir),
};
