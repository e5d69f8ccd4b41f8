import { mkdir, readdir, readFile, readlink, rm, symlink } from 'node:fs/promises';
import path from 'node:path';
import { HostdError } from '../errors.ts';
import { exists, isErrno } from '../storage/files.ts';

/*
 * Which user id belongs to which machine, on the whole host: a symbolic link per id, named by the id and pointing at the
 * machine's socket directory. Making a link is atomic and carries its content, so two hostds never give away the same id. The
 * links are in /run, which a restart of the host empties together with every process.
 */
export type UidRange = { first: number; last: number };

/** Beyond what distributions, containers and subordinate ids use, and within 31 bits. */
export const DEFAULT_UID_RANGE = '1900000000-1900065535';
export const CLAIMS_DIR = '/run/warren/uids';
const UID_MIN = 1000;
const UID_MAX = 0xffff_fffe;

/** @throws when it is not `first-last` with 16 ids or more, none of them a system user's */
export function parseUidRange(text: string): UidRange {
  const [, first, last] = (/^(\d{1,10})-(\d{1,10})$/.exec(text) ?? []).map(Number);
  if (first === undefined || last === undefined || first < UID_MIN || last > UID_MAX || last - first < 15) {
    throw new Error(`${text} is no range of user ids: give first-last, from ${UID_MIN} on, 16 or more: ${DEFAULT_UID_RANGE}`);
  }
  return { first, last };
}

/** Ids of the range that someone else has, by /etc/passwd, /etc/subuid or the user namespace hostd is in; null when none. */
export function findOverlap(range: UidRange, files: { passwd: string; subuid: string; uidMap: string }): string | null {
  const rows = (text: string) => text.split('\n').map((line) => line.split(':'));
  for (const [name, , uid] of rows(files.passwd)) {
    if (Number(uid) >= range.first && Number(uid) <= range.last) return `${uid} is the user ${name}`;
  }
  for (const [name, first, count] of rows(files.subuid)) {
    const last = Number(first) + Number(count) - 1;
    if (Number(first) <= range.last && last >= range.first) return `${first}-${last} are subordinate ids of ${name}`;
  }
  const maps = files.uidMap
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number));
  const isMapped = maps.some(([inside = 0, , count = 0]) => inside <= range.first && inside + count > range.last);
  return isMapped ? null : 'not all of them exist in the user namespace that hostd runs in';
}

export async function readUidFiles(): Promise<{ passwd: string; subuid: string; uidMap: string }> {
  const read = (file: string) => readFile(file, 'utf8').catch(() => '');
  const [passwd, subuid, uidMap] = await Promise.all(['/etc/passwd', '/etc/subuid', '/proc/self/uid_map'].map(read));
  return { passwd: passwd!, subuid: subuid!, uidMap: uidMap! };
}

export class Uids {
  readonly #range: UidRange;
  readonly #dir: string;
  #next: number;

  /** @param random in [0, 1): where the search begins, so that an id is long out of use before it comes again */
  constructor(range: UidRange, dir = CLAIMS_DIR, random = Math.random()) {
    this.#range = range;
    this.#dir = dir;
    this.#next = range.first + Math.floor(random * (range.last - range.first + 1));
  }

  async prepare(): Promise<void> {
    await mkdir(this.#dir, { recursive: true, mode: 0o700 });
  }

  /** An id that nobody has until `owner` gives it back. @throws `no_capacity` */
  async claim(owner: string): Promise<number> {
    const { first, last } = this.#range;
    for (let tried = first; tried <= last; tried++) {
      const uid = this.#next;
      this.#next = uid === last ? first : uid + 1;
      try {
        await symlink(owner, path.join(this.#dir, String(uid)));
        return uid;
      } catch (error) {
        if (!isErrno(error, 'EEXIST')) throw error;
      }
    }
    throw new HostdError('no_capacity', {
      message: `all user ids from ${first} to ${last} are taken: end machines, or give HOSTD_UID_RANGE more`,
      phase: 'jail.uid',
    });
  }

  /** Gives back what `owner` holds. Only once no process and no file of that id is left. Safe to repeat. */
  async release(owner: string): Promise<void> {
    for (const { uid, owner: holder } of await this.#claims()) {
      if (holder === owner) await rm(path.join(this.#dir, uid), { force: true });
    }
  }

  /** Gives back what machines held whose directory, in `runDir`, is gone: nothing is left that could give it back. */
  async sweep(runDir: string): Promise<void> {
    for (const { uid, owner } of await this.#claims()) {
      if (path.dirname(owner) !== runDir || (await exists(owner))) continue;
      await rm(path.join(this.#dir, uid), { force: true });
    }
  }

  async #claims(): Promise<{ uid: string; owner: string }[]> {
    const names = await readdir(this.#dir);
    const targets = await Promise.all(names.map((name) => readlink(path.join(this.#dir, name)).catch(() => '')));
    return names.map((uid, index) => ({ uid, owner: targets[index]! }));
  }
}
