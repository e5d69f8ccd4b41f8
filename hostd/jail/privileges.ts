import { spawn } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { IsolationLack } from '../contract/machines.ts';
import { messageOf } from '../errors.ts';
import { QEMU } from '../hypervisor/qemu/platform.ts';
import type { Layout } from '../storage/layout.ts';
import { confine, type Jail } from './argv.ts';
import { Cgroups, CONTROLLERS, type Controller, findCgroup2 } from './cgroups.ts';
import { findIoDevice } from './io-device.ts';
import { type JailMeans, Jails } from './jails.ts';
import { type JailTree, prepareTree, pruneTrees } from './tree.ts';
import { findOverlap, parseUidRange, readUidFiles, Uids } from './uids.ts';

/*
 * What of a jail this host lets hostd have, found out by doing it. Whatever is missing is left out, and named: hostd runs
 * with less, and whoever places machines on it decides whether that is enough.
 */
const PROBE_LIMITS = { fileBytes: 2 ** 30, openFiles: 256, processes: 64 };
const PROBE_DEADLINE_MS = 10_000;

export type JailOptions = {
  layout: Layout;
  /** `first-last`. */
  uidRange: string;
  /** Directory of the cgroup v2 hierarchy; null for `warren` at its root. */
  cgroup: string | null;
  /** What one machine may read and write per second, each; null for no limit. */
  ioBytesPerSecond: number | null;
};

export type OpenJails = { jails: Jails; lacks: IsolationLack[] };

export async function openJails(options: JailOptions): Promise<OpenJails> {
  const asRoot = process.getuid?.() === 0;
  const tree = await tryTree(options.layout);
  const uids = asRoot ? await tryUids(options) : lack<Uids>(NOT_ROOT);
  const inside = tree.value === null ? null : await tryNamespaces(options.layout, tree.value, uids.value);
  const cgroups = await tryCgroups(options);
  const io = options.ioBytesPerSecond === null ? null : await findIoDevice(options.layout.dataDir);
  const means: JailMeans = {
    asRoot,
    tree: inside?.works ? tree.value : null,
    uids: inside?.works === 'with own user' ? uids.value : null,
    cgroups: cgroups.value,
    io: io === null ? null : { device: io, bytesPerSecond: options.ioBytesPerSecond! },
  };
  const lacks = [...tree.lacks, ...uids.lacks, ...(inside?.lacks ?? []), ...cgroups.lacks];
  return { jails: new Jails(means), lacks };
}

type Tried<T> = { value: T | null; lacks: IsolationLack[] };

const have = <T>(value: T): Tried<T> => ({ value, lacks: [] });
const lack = <T>(one: IsolationLack): Tried<T> => ({ value: null, lacks: [one] });

const NOT_ROOT: IsolationLack = {
  what: 'a user id per machine',
  found: 'hostd does not run as root',
  why: 'every QEMU runs as the user of hostd: one that a guest has taken over can signal the others and hostd',
  fix: 'run hostd as root; machines never do',
};
const WHY_NAMESPACES = 'a QEMU that a guest has taken over sees the files, processes and network of the host';
const WHY_UIDS = 'every QEMU runs as the user of hostd: one that a guest has taken over owns what hostd owns';
const WHY_CONTROLLER: Record<Controller, string> = {
  cpu: 'one machine can take every core from the others',
  memory: 'one QEMU can grow until the kernel kills another one',
  io: 'one machine can keep the disk busy for all',
  pids: 'a QEMU that a guest has taken over can start processes until the host has no room for more',
};

async function tryTree(layout: Layout): Promise<Tried<JailTree>> {
  try {
    await mkdir(layout.jail, { recursive: true, mode: 0o700 });
    const tree = await prepareTree(layout.jail, QEMU);
    if ((await readdir(layout.machines)).length === 0) await pruneTrees(layout.jail, tree);
    return have(tree);
  } catch (error) {
    return lack({
      what: 'a root directory of its own per machine',
      found: messageOf(error),
      why: WHY_NAMESPACES,
      fix: 'apt-get install qemu-system-x86 util-linux',
    });
  }
}

async function tryUids({ uidRange: rangeText, layout }: JailOptions): Promise<Tried<Uids>> {
  const what = 'a user id per machine';
  const fix = 'set HOSTD_UID_RANGE to ids that nobody uses, such as 1900000000-1900065535';
  try {
    const range = parseUidRange(rangeText);
    const overlap = findOverlap(range, await readUidFiles());
    if (overlap !== null) return lack({ what, found: `HOSTD_UID_RANGE ${rangeText}: ${overlap}`, why: WHY_UIDS, fix });
    const uids = new Uids(range);
    await uids.prepare();
    await uids.sweep(layout.runDir);
    return have(uids);
  } catch (error) {
    return lack({ what, found: messageOf(error), why: WHY_UIDS, fix });
  }
}

type Inside = { works: 'with own user' | 'as hostd' | null; lacks: IsolationLack[] };

/** Runs a harmless program in the jail; without an own user when it must be. */
async function tryNamespaces(layout: Layout, tree: JailTree, uids: Uids | null): Promise<Inside> {
  const probe = path.join(layout.jail, 'probe');
  await writeFile(probe, '');
  const binds = [{ path: probe, access: 'read' }] as const;
  let failure = '';
  if (uids !== null) {
    const uid = await uids.claim(probe);
    failure = await whyNot({ tree, binds, owner: { uid, groups: [] } });
    await uids.release(probe);
    if (failure === '') return { works: 'with own user', lacks: [] };
  }
  const second = await whyNot({ tree, binds, owner: null });
  if (second === '') {
    const lacks = failure === '' ? [] : [{ what: 'a user id per machine', found: failure, why: WHY_UIDS, fix: FIX_NAMESPACES }];
    return { works: 'as hostd', lacks };
  }
  return {
    works: null,
    lacks: [{ what: 'namespaces per machine', found: failure || second, why: WHY_NAMESPACES, fix: FIX_NAMESPACES }],
  };
}

const FIX_NAMESPACES =
  'apt-get install bubblewrap; in a container, run it with CAP_SYS_ADMIN and without a filter on mount and unshare';

/** Empty when it worked, else the last line of what went wrong. */
function whyNot(jail: Jail): Promise<string> {
  const confinement = { limits: PROBE_LIMITS, cgroupDir: null, jail, asRoot: true };
  const [program, ...args] = confine(jail.tree.setpriv, ['--version'], confinement) as [string, ...string[]];
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe', 'pipe'], timeout: PROBE_DEADLINE_MS });
  let said = '';
  child.stderr?.on('data', (chunk) => {
    said += chunk;
  });
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code, signal) => {
      const ending = signal ? `ended by ${signal}` : `exit code ${code}`;
      resolve(code === 0 ? '' : said.trim().split('\n').at(-1) || ending);
    });
  });
}

async function tryCgroups({ layout, cgroup }: JailOptions): Promise<Tried<Cgroups>> {
  const fix = 'boot with systemd.unified_cgroup_hierarchy=1, or delegate a cgroup and name it in HOSTD_CGROUP';
  const all = (found: string) =>
    CONTROLLERS.map((name) => ({ what: `a limit on ${name}`, found, why: WHY_CONTROLLER[name], fix }));
  const mount = findCgroup2(await readFile('/proc/self/mountinfo', 'utf8'));
  if (mount === null) return { value: null, lacks: all('no cgroup v2 hierarchy is mounted') };
  const parent = cgroup ?? path.join(mount, 'warren');
  try {
    const cgroups = await Cgroups.open({ mount, parent, prefix: layout.key });
    const missing = CONTROLLERS.filter((name) => !cgroups.controllers.includes(name));
    const found = `cgroup v2 at ${mount} does not pass this controller on`;
    const lacks = all(found).filter((_, index) => missing.includes(CONTROLLERS[index]!));
    return { value: missing.length < CONTROLLERS.length ? cgroups : null, lacks };
  } catch (error) {
    return { value: null, lacks: all(`${parent} cannot be used: ${messageOf(error)}`) };
  }
}
