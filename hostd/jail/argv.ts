import path from 'node:path';
import type { RunLimits } from './limits.ts';
import type { JailTree } from './tree.ts';

/*
 * The chain of programs that confines a hypervisor before it runs, as plain data. Every link replaces itself by the next one:
 *
 *   sh         joins the cgroup, so that everything after it is charged there
 *   prlimit    sets the limits
 *   unshare    network namespace in which not even the loopback is up
 *   bwrap      mount, pid, ipc, uts and cgroup namespaces, and a root made of the binds alone
 *   setpriv    the machine's own user, no group, no capability, no way to gain one
 */

/** A path means the same file inside and outside, so that QEMU's arguments do not depend on the jail. */
export type Bind = { path: string; access: 'read' | 'write' | 'shared' | 'directory' | 'device' };

/**
 * How the namespaces are made: by root, which may also give the machine a user of its own, or in a user namespace, where the
 * machine runs as hostd's user.
 */
export type Jail = { tree: JailTree; binds: readonly Bind[]; owner: { uid: number; groups: readonly number[] } | null };

export type Confinement = {
  limits: RunLimits;
  cgroupDir: string | null;
  /** Null where this host lets hostd make no namespaces: the program then runs beside hostd, without capabilities. */
  jail: Jail | null;
  /** Whether hostd has capabilities that are to be taken away where there is no jail. */
  asRoot: boolean;
};

/** Where the chain says which process became the program: one JSON object per line (bwrap --json-status-fd). */
export const STATUS_FD = 3;

const JOIN_CGROUP = 'echo 0 >"$0/cgroup.procs" && exec "$@"';
const NO_PRIVILEGES = ['--no-new-privs', '--inh-caps=-all', '--bounding-set=-all'];

/** @param program absolute path, in the jail's tree where there is a jail */
export function confine(program: string, args: readonly string[], { limits, cgroupDir, jail, asRoot }: Confinement): string[] {
  return [
    ...(cgroupDir === null ? [] : ['sh', '-c', JOIN_CGROUP, cgroupDir]),
    ...['prlimit', '--core=0', `--fsize=${limits.fileBytes}`, `--nofile=${limits.openFiles}`],
    // The kernel counts processes per user; hostd's user has others.
    ...(jail?.owner ? [`--nproc=${limits.processes}`] : []),
    ...['--memlock=0', '--'],
    ...(jail === null ? outsideJail(asRoot) : intoJail(jail)),
    program,
    ...args,
  ];
}

function outsideJail(asRoot: boolean): string[] {
  return ['setpriv', ...(asRoot ? NO_PRIVILEGES : ['--no-new-privs']), '--'];
}

function intoJail({ tree, binds, owner }: Jail): string[] {
  const namespaces = ['--as-pid-1', '--unshare-pid', '--unshare-ipc', '--unshare-uts', '--unshare-cgroup-try'];
  const bwrap = ['bwrap', '--json-status-fd', String(STATUS_FD), ...namespaces, '--hostname', 'warren', '--clearenv'];
  const root = [
    ...tree.tops.flatMap((top) => ['--ro-bind', path.join(tree.dir, top), `/${top}`]),
    // Made here with their mode: bwrap would make them for root alone.
    ...ancestorsOf(binds).flatMap((dir) => ['--perms', '0755', '--dir', dir]),
    ...binds.flatMap((bind) => [BIND_OPTION[bind.access], bind.path, bind.path]),
    ...['--chdir', '/', '--'],
  ];
  if (owner === null) return [...bwrap, '--unshare-user', '--unshare-net', ...root];
  const groups = owner.groups.length === 0 ? ['--clear-groups'] : ['--groups', owner.groups.join(',')];
  const ids = [`--reuid=${owner.uid}`, `--regid=${owner.uid}`, ...groups];
  return ['unshare', '--net', '--', ...bwrap, ...root, tree.setpriv, ...ids, ...NO_PRIVILEGES, '--'];
}

const BIND_OPTION = { read: '--ro-bind', write: '--bind', shared: '--bind', directory: '--bind', device: '--dev-bind' } as const;

/** Every directory above a bind, outer ones first. */
function ancestorsOf(binds: readonly Bind[]): string[] {
  const dirs = new Set<string>();
  for (const bind of binds) {
    for (let dir = path.dirname(bind.path); dir !== '/'; dir = path.dirname(dir)) dirs.add(dir);
  }
  return [...dirs].sort();
}
