import { randomBytes } from 'node:crypto';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { asDiskError, isErrno, syncPath } from '../files.ts';
import { type ListedObject, ObjectMissing, type ObjectStore, type Range, requireLength, StoreFailure } from './object-store.ts';

const TEMPORARY = /\.[0-9a-f]{12}\.new$/;
/** A writer that has been silent for so long is dead; what it began is removed by the next `list`. */
const ABANDONED_MS = 24 * 3_600_000;

/** Objects as files below a directory, which may be a network mount. Written under another name, synced, then renamed. */
export class DirectoryStore implements ObjectStore {
  readonly location: string;
  readonly #root: string;
  readonly #made = new Set<string>();

  /** @param root absolute; made with mode 0700 when it is not there */
  constructor(root: string) {
    this.#root = root;
    this.location = `file://${root}`;
  }

  async put(key: string, bytes: Uint8Array): Promise<void> {
    const target = this.#pathOf(key);
    const dir = path.dirname(target);
    await this.#makeDir(dir);
    const temporary = `${target}.${randomBytes(6).toString('hex')}.new`;
    try {
      const handle = await open(temporary, 'wx', 0o600);
      try {
        await handle.writeFile(bytes);
        await handle.datasync();
      } finally {
        await handle.close();
      }
      await rename(temporary, target);
      await syncPath(dir);
    } catch (error) {
      await rm(temporary, { force: true });
      throw this.#explain(asDiskError(error, 'store.put'), key);
    }
  }

  async get(key: string, range?: Range): Promise<Buffer> {
    const handle = await open(this.#pathOf(key), 'r').catch((error) => {
      throw isErrno(error, 'ENOENT') ? new ObjectMissing(key) : this.#explain(error, key);
    });
    try {
      if (!range) return await handle.readFile();
      const buffer = Buffer.allocUnsafe(range.length);
      let filled = 0;
      while (filled < range.length) {
        const { bytesRead } = await handle.read(buffer, filled, range.length - filled, range.offset + filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      return requireLength(key, buffer.subarray(0, filled), range.length);
    } finally {
      await handle.close();
    }
  }

  async size(key: string): Promise<number | null> {
    return stat(this.#pathOf(key)).then(
      (found) => found.size,
      (error) => {
        if (isErrno(error, 'ENOENT')) return null;
        throw this.#explain(error, key);
      },
    );
  }

  async *list(prefix: string): AsyncIterable<ListedObject> {
    const dir = this.#pathOf(prefix.endsWith('/') ? prefix.slice(0, -1) : path.posix.dirname(prefix));
    const entries = await readdir(dir, { recursive: true, withFileTypes: true }).catch((error) => {
      if (isErrno(error, 'ENOENT')) return [];
      throw this.#explain(error, prefix);
    });
    for (const entry of entries) {
      if (!entry.isFile()) continue;
      const file = path.join(entry.parentPath, entry.name);
      const found = await stat(file).catch(() => null);
      if (!found) continue;
      if (TEMPORARY.test(entry.name)) {
        if (Date.now() - found.mtimeMs > ABANDONED_MS) await rm(file, { force: true });
        continue;
      }
      const key = path.relative(this.#root, file);
      if (key.startsWith(prefix)) yield { key, bytes: found.size, modifiedAtMs: found.mtimeMs };
    }
  }

  async remove(key: string): Promise<void> {
    await rm(this.#pathOf(key), { force: true });
  }

  #pathOf(key: string): string {
    if (key.split('/').some((part) => part === '' || part === '.' || part === '..'))
      throw new StoreFailure(`${key} is not an object key`, { retryable: false });
    return path.join(this.#root, key);
  }

  async #makeDir(dir: string): Promise<void> {
    if (this.#made.has(dir)) return;
    await mkdir(dir, { recursive: true, mode: 0o700 });
    // Names of new directories must be as durable as what is put in them.
    for (let at = path.dirname(dir); at.length >= this.#root.length; at = path.dirname(at)) await syncPath(at);
    this.#made.add(dir);
  }

  #explain(error: unknown, key: string): unknown {
    if (!(error instanceof Error) || !('errno' in error)) return error;
    return new StoreFailure(`${this.location}: ${key}: ${error.message}`, { retryable: isErrno(error, 'EIO'), cause: error });
  }
}
