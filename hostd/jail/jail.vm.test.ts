import { execFile } from 'node:child_process';
import { chmod, copyFile, mkdir, readdir, readFile, readlink, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadHostEnv } from '../env.ts';
import type { Vm, VmSpec } from '../hypervisor/driver.ts';
import { findByArgument } from '../hypervisor/qemu/process.ts';
import { HostdProcess } from '../machines/testing/hostd-process.ts';
import { whyNoVms } from '../machines/testing/vm-host.ts';
import { type OpenHost, openHost } from '../open-host.ts';
import { CLAIMS_DIR } from './uids.ts';

/*
 * The jail as an attacker would meet it who has taken over a machine's QEMU: looked at from the host in /proc, then entered
 * with nsenter and setpriv. Every attempt is made three times: by root outside, where it must succeed, or the attempt itself
 * would prove nothing; with the machine's user alone, as if it had got out of its namespaces; and inside the jail. The guests'
 * CPUs stand still, so that this costs no emulation.
 */
const run = promisify(execFile);
const SHELL = '/bin/dash';
const NAMESPACES = ['mnt', 'pid', 'ipc', 'uts', 'net', 'cgroup'] as const;
const NO_PRIVILEGES = ['--clear-groups', '--no-new-privs', '--inh-caps=-all', '--bounding-set=-all', '--'];

const whyNot = (await whyNoVms()) ?? (process.getuid?.() === 0 ? null : 'only root can give machines users and enter them');

describe.skipIf(whyNot !== null)(`the jail${whyNot === null ? '' : ` (skipped: ${whyNot})`}`, () => {
  let hostd: HostdProcess;
  let host: OpenHost;
  let service: Server;
  let treeDir: string;
  let keeper: number;
  const machines: { spec: VmSpec; vm: Vm; uid: number }[] = [];
  const [attacker, victim] = [() => machines[0]!, () => machines[1]!];

  /** A machine whose disk is a shell: what an attacker would write there to run it. */
  async function startMachine(machineId: string) {
    const { layout, driver } = host;
    const { vm: files, qemuLog } = layout.machine(machineId);
    await mkdir(files.dir, { recursive: true, mode: 0o700 });
    await copyFile(SHELL, files.disk);
    await truncate(files.disk, 1024 ** 2);
    await chmod(files.disk, 0o700);
    await writeFile(files.memory, '');
    await truncate(files.memory, 256 * 1024 ** 2);
    const spec: VmSpec = {
      ...{ machineId, memoryMiB: 256, vcpus: 1, memoryPath: files.memory, diskPath: files.disk, logPath: qemuLog },
      ...{ socketDir: layout.sockets(machineId).dir, begin: { kind: 'restore' } },
      ...{ machineType: driver.platform.machineType, cpuModel: driver.platform.cpuModel },
    };
    const vm = await driver.start(spec);
    machines.push({ spec, vm, uid: (await stat(files.disk)).uid });
  }

  beforeAll(async () => {
    hostd = await HostdProcess.make();
    await hostd.start();
    host = await openHost({ ...loadHostEnv(), HOSTD_DATA_DIR: hostd.dataDir, HOSTD_ACCELERATOR: hostd.accelerator });
    service = createServer((socket) => socket.end());
    await new Promise<void>((resolve) => service.listen(0, '127.0.0.1', resolve));
    for (const machineId of ['mch_attacker01', 'mch_victim0001']) await startMachine(machineId);
    const tree = (await readdir(host.layout.jail, { withFileTypes: true })).find((one) => one.isDirectory())!;
    treeDir = path.join(host.layout.jail, tree.name);
    keeper = Number(/^PPid:\s+(\d+)$/m.exec(await readFile(proc(attacker(), 'status'), 'utf8'))![1]);
  });
  afterAll(async () => {
    for (const { spec, vm } of machines) {
      await vm.kill();
      await host.driver.vacate({ ...spec, files: [spec.diskPath] });
      await rm(path.dirname(path.dirname(spec.diskPath)), { recursive: true });
    }
    service?.close();
    await hostd?.destroy();
  });

  const proc = (of: { vm: Vm }, file: string) => `/proc/${of.vm.process.pid}/${file}`;
  const statusOf = async (of: { vm: Vm }) => {
    const text = await readFile(proc(of, 'status'), 'utf8');
    return (name: string) => new RegExp(`^${name}:[ \\t]*(.*?)[ \\t]*$`, 'm').exec(text)?.[1]?.split(/\s+/).join(' ');
  };

  it('has every part of it on this host, limits by cgroup apart where there are none', () => {
    expect(host.lacks.filter(({ what }) => !what.startsWith('a limit on'))).toEqual([]);
  });

  it('gives each machine a user of its own, in no group, without any capability and no way to gain one', async () => {
    for (const machine of machines) {
      const status = await statusOf(machine);
      const { uid } = machine;
      expect(uid).toBeGreaterThanOrEqual(1_900_000_000);
      expect([status('Uid'), status('Gid'), status('Groups')]).toEqual([...Array(2).fill(Array(4).fill(uid).join(' ')), '']);
      for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) expect(status(set)).toBe('0'.repeat(16));
      expect([status('NoNewPrivs'), status('Seccomp')]).toEqual(['1', '2']);
      expect(await readlink(path.join(CLAIMS_DIR, String(uid)))).toBe(machine.spec.socketDir);
    }
    expect(attacker().uid).not.toBe(victim().uid);
  });

  it('puts each machine into namespaces of its own', async () => {
    for (const name of NAMESPACES) {
      const links = await Promise.all(
        ['/proc/self/', proc(attacker(), ''), proc(victim(), '')].map((at) => readlink(`${at}ns/${name}`)),
      );
      expect(new Set(links).size, name).toBe(3);
    }
    // A network without any interface that is up, and without routes.
    expect((await readFile(proc(attacker(), 'net/dev'), 'utf8')).match(/^ *\w+:/gm)).toEqual(['    lo:']);
    for (const table of ['net/if_inet6', 'net/fib_trie']) expect(await readFile(proc(attacker(), table), 'utf8')).toBe('');
  });

  it('shows it QEMU’s files and its own, nothing of them in a directory that it may write', async () => {
    const root = proc(attacker(), 'root');
    const top = await readdir(root);
    for (const absent of ['proc', 'sys', 'etc', 'home', 'root', 'run', 'var', 'bin', 'sbin']) expect(top).not.toContain(absent);
    expect((await readdir(`${root}/usr/bin`)).sort()).toEqual(['qemu-system-x86_64', 'setpriv']);
    expect(await readdir(`${root}${path.dirname(attacker().spec.diskPath)}`)).toEqual(['disk.raw', 'memory']);
    expect(await readdir(`${root}${path.dirname(attacker().spec.socketDir)}`)).toEqual(['mch_attacker01']);

    const mounts = (await readFile(proc(attacker(), 'mountinfo'), 'utf8'))
      .trim()
      .split('\n')
      .map((line) => line.split(' '));
    const writable = mounts.filter((fields) => fields[5]!.startsWith('rw')).map((fields) => fields[4]!);
    const { memoryPath, diskPath, socketDir } = attacker().spec;
    expect(writable.sort()).toEqual(['/', '/dev/null', diskPath, memoryPath, path.join(socketDir, 'outbox')].sort());
    for (const fields of mounts) expect(fields[5]).toContain('nosuid');
    expect((await stat(`${root}/`)).uid).toBe(0);
  });

  it('leaves it no open file but its own', async () => {
    const names = await readdir(proc(attacker(), 'fd'));
    const open = await Promise.all(names.map((fd) => readlink(proc(attacker(), `fd/${fd}`)).catch(() => '')));
    const files = new Set(open.filter((target) => target.startsWith('/')));
    const { memoryPath, diskPath, logPath, socketDir } = attacker().spec;
    expect([...files].sort()).toEqual(['/dev/null', memoryPath, diskPath, logPath, path.join(socketDir, 'inbox')].sort());
  });

  it('limits it', async () => {
    const limits = await readFile(proc(attacker(), 'limits'), 'utf8');
    const hardOf = (name: string) => new RegExp(`^${name}\\s+(\\S+)\\s+(\\S+)`, 'm').exec(limits)?.slice(1);
    expect(hardOf('Max core file size')).toEqual(['0', '0']);
    expect(hardOf('Max locked memory')).toEqual(['0', '0']);
    expect(hardOf('Max open files')).toEqual(['256', '256']);
    expect(hardOf('Max processes')).toEqual(['97', '97']);
    expect(hardOf('Max file size')).toEqual(Array(2).fill(String((256 + 64) * 1024 ** 2)));
  });

  /** Runs a shell script; resolves to whether it ended well. */
  const succeeds = (argv: string[]) =>
    run(argv[0]!, argv.slice(1)).then(
      () => true,
      () => false,
    );
  const asMachine = () => ['setpriv', `--reuid=${attacker().uid}`, `--regid=${attacker().uid}`, ...NO_PRIVILEGES];
  const inNamespaces = () => ['nsenter', `--target=${attacker().vm.process.pid}`, '--all', '--root', '--wd', '--'];
  const ways = {
    'root outside': (script: string) => [SHELL, '-c', script],
    'its user outside': (script: string) => [...asMachine(), SHELL, '-c', script],
    'inside the jail': (script: string) => [
      ...inNamespaces(),
      `/usr/bin/${asMachine()[0]}`,
      ...asMachine().slice(1),
      attacker().spec.diskPath,
      '-c',
      script,
    ],
  };

  it('lets it do what is its own, so that the attempts below could succeed', async () => {
    const { diskPath, memoryPath } = attacker().spec;
    for (const script of [
      `read -r line <${diskPath} || :`,
      `: <>${memoryPath}`,
      'kill -0 $$',
      'test -r /usr/bin/qemu-system-x86_64',
    ])
      expect(await succeeds(ways['inside the jail'](script)), script).toBe(true);
    for (const script of [': >>/usr/bin/setpriv', ': >/usr/bin/planted', ': >/planted', 'test -e /proc', 'test -e /etc'])
      expect(await succeeds(ways['inside the jail'](script)), script).toBe(false);
  });

  const read = (file: string) => `: <${file}`;
  it.each<[string, () => string]>([
    ['read the memory of another machine', () => read(victim().spec.memoryPath)],
    ['write the disk of another machine', () => `: <>${victim().spec.diskPath}`],
    ['read the log of another machine', () => read(victim().spec.logPath)],
    ['find the sockets of another machine', () => `test -S ${victim().spec.socketDir}/qmp.sock`],
    ['find its own control socket', () => `test -S ${attacker().spec.socketDir}/qmp.sock`],
    ['read hostd’s key', () => read(host.layout.hostKey)],
    ['enter the data directory', () => `cd ${host.layout.dataDir}/snapshots`],
    ['make a file beside its disk', () => `: >${path.dirname(attacker().spec.diskPath)}/planted`],
    ['make a file among its sockets', () => `: >${attacker().spec.socketDir}/planted`],
    ['change what every QEMU is started from', () => `: >>${treeDir}/usr/bin/setpriv`],
    ['signal hostd', () => `kill -0 ${hostd.pid}`],
    ['signal another machine', () => `kill -0 ${victim().vm.process.pid}`],
    ['signal the keeper of its own jail', () => `kill -0 ${keeper}`],
    ['signal a process of somebody else', () => `kill -0 ${process.pid}`],
    ['give itself another user id', () => `test -w ${CLAIMS_DIR}`],
  ])('does not let it %s', async (_, script) => {
    const outcome = await Promise.all(Object.entries(ways).map(async ([way, argv]) => [way, await succeeds(argv(script()))]));
    expect(Object.fromEntries(outcome)).toEqual({ 'root outside': true, 'its user outside': false, 'inside the jail': false });
    for (const planted of [path.dirname(attacker().spec.diskPath), attacker().spec.socketDir])
      await rm(path.join(planted, 'planted'), { force: true });
  });

  it.each<[string, () => number]>([
    ['hostd', () => hostd.port],
    ['a service on the host’s loopback, as PostgreSQL is', () => (service.address() as { port: number }).port],
  ])('does not let it connect to %s, not even as root', async (_, port) => {
    const connect = `require('node:net').connect(${port()}, '127.0.0.1').on('connect', () => process.exit(0)).on('error', (error) => { console.log(error.code); process.exit(1); })`;
    const argv = [process.execPath, '-e', connect];
    expect(await succeeds(argv)).toBe(true);
    const refused = await run('nsenter', [`--target=${attacker().vm.process.pid}`, '--net', '--', ...argv]).catch(
      ({ stdout }) => stdout,
    );
    expect(refused).toBe('ENETUNREACH\n');
  });

  it('leaves nothing behind: no process, no user id, no file of that user', async () => {
    const { spec, vm, uid } = attacker();
    await vm.kill();
    await host.driver.vacate({ ...spec, files: [spec.diskPath] });
    expect(await findByArgument(spec.socketDir)).toEqual([]);
    expect(await readdir(CLAIMS_DIR)).not.toContain(String(uid));
    for (const file of [spec.memoryPath, spec.diskPath]) expect((await stat(file)).uid).toBe(0);
    await writeFile(spec.logPath, '');
  });
});
