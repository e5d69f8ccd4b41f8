import { describe, expect, it } from 'vitest';
import { type Bind, type Confinement, confine } from './argv.ts';

const TREE = { dir: '/data/jail/0123', tops: ['lib64', 'usr'], qemu: '/usr/bin/qemu', setpriv: '/usr/bin/setpriv' };
const BINDS: Bind[] = [
  { path: '/data/m/vm/memory', access: 'shared' },
  { path: '/data/m/vm/disk.raw', access: 'write' },
  { path: '/run/w/mch_1/kernel', access: 'read' },
  { path: '/dev/kvm', access: 'device' },
];
const LIMITS = { fileBytes: 1000, openFiles: 256, processes: 97 };
const aConfinement = (over: Partial<Confinement> = {}): Confinement => ({
  limits: LIMITS,
  cgroupDir: '/sys/fs/cgroup/warren/k-mch_1',
  jail: { tree: TREE, binds: BINDS, owner: { uid: 1_900_000_007, groups: [] } },
  asRoot: true,
  ...over,
});

describe('the chain into a jail', () => {
  it('is, with every privilege, this', () => {
    expect(confine('/usr/bin/qemu', ['-S', '-name', 'x'], aConfinement())).toEqual([
      ...['sh', '-c', 'echo 0 >"$0/cgroup.procs" && exec "$@"', '/sys/fs/cgroup/warren/k-mch_1'],
      ...['prlimit', '--core=0', '--fsize=1000', '--nofile=256', '--nproc=97', '--memlock=0', '--'],
      ...['unshare', '--net', '--'],
      ...['bwrap', '--json-status-fd', '3', '--as-pid-1'],
      ...['--unshare-pid', '--unshare-ipc', '--unshare-uts', '--unshare-cgroup-try', '--hostname', 'warren', '--clearenv'],
      ...['--ro-bind', '/data/jail/0123/lib64', '/lib64', '--ro-bind', '/data/jail/0123/usr', '/usr'],
      ...['/data', '/data/m', '/data/m/vm', '/dev', '/run', '/run/w', '/run/w/mch_1'].flatMap((dir) => [
        ...['--perms', '0755', '--dir', dir],
      ]),
      ...['--bind', '/data/m/vm/memory', '/data/m/vm/memory', '--bind', '/data/m/vm/disk.raw', '/data/m/vm/disk.raw'],
      ...['--ro-bind', '/run/w/mch_1/kernel', '/run/w/mch_1/kernel', '--dev-bind', '/dev/kvm', '/dev/kvm', '--chdir', '/', '--'],
      ...['/usr/bin/setpriv', '--reuid=1900000007', '--regid=1900000007', '--clear-groups'],
      ...['--no-new-privs', '--inh-caps=-all', '--bounding-set=-all', '--'],
      ...['/usr/bin/qemu', '-S', '-name', 'x'],
    ]);
  });

  it('makes the namespaces in a user namespace where hostd is not root, and needs no setpriv there', () => {
    const argv = confine('/usr/bin/qemu', [], aConfinement({ jail: { tree: TREE, binds: [], owner: null }, asRoot: false }));
    expect(argv).toEqual(expect.arrayContaining(['--unshare-user', '--unshare-net', '--unshare-pid']));
    expect(argv).not.toContain('unshare');
    expect(argv.join(' ')).not.toMatch(/setpriv|--nproc/);
  });

  it('takes root’s capabilities away also where there is no jail, and only sets the limits otherwise', () => {
    const limits = ['prlimit', '--core=0', '--fsize=1000', '--nofile=256', '--memlock=0', '--'];
    const without = { cgroupDir: null, jail: null };
    expect(confine('qemu', ['-S'], aConfinement(without))).toEqual([
      ...limits,
      ...['setpriv', '--no-new-privs', '--inh-caps=-all', '--bounding-set=-all', '--', 'qemu', '-S'],
    ]);
    expect(confine('qemu', ['-S'], aConfinement({ ...without, asRoot: false }))).toEqual([
      ...limits,
      ...['setpriv', '--no-new-privs', '--', 'qemu', '-S'],
    ]);
  });

  it('keeps the group that may open a device, and no other', () => {
    const jail = { tree: TREE, binds: BINDS, owner: { uid: 5000, groups: [104] } };
    const argv = confine('/usr/bin/qemu', [], aConfinement({ jail }));
    expect(argv).not.toContain('--clear-groups');
    expect(argv[argv.indexOf('--groups') + 1]).toBe('104');
  });
});
