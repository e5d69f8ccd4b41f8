import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadHostEnv } from '../env.ts';
import type { Vm, VmSpec } from '../hypervisor/driver.ts';
import { openTestHost, whyNoVms } from '../machines/testing/vm-host.ts';
import type { OpenHost } from '../open-host.ts';
import { findIoDevice } from './io-device.ts';
import { cgroupLimits } from './limits.ts';
import { whyNoLimits } from './testing/limits.ts';

/*
 * Real QEMUs in their cgroups. Only hosts whose cgroup v2 hierarchy has the controllers can show it; elsewhere
 * `npx node scripts/on-cgroup2.ts` runs this file on a computer that has. What a QEMU would do that a guest has taken over is done by a
 * program that joined its cgroup, as a child of it would be in it. The guests' CPUs stand still: this costs no emulation.
 */
const run = promisify(execFile);
const MIB = 1024 ** 2;
const SIZE = { memoryMiB: 256, vcpus: 1 };
const reason = (await whyNoVms()) ?? (await whyNoLimits());

/** Starts as many processes as it may, tells how many and how many there were at most in the cgroup, and ends them. */
const FORKS = `
import os, signal, sys
children = []
try:
    for _ in range(300):
        child = os.fork()
        if child == 0:
            signal.pause()
        children.append(child)
except OSError:
    pass
most = int(open(sys.argv[1]).read())
for child in children:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
print(len(children), most)`;

describe.skipIf(reason !== null)(`the cgroup of a QEMU${reason === null ? '' : ` (skipped: ${reason})`}`, () => {
  let host: OpenHost;
  const machines: { spec: VmSpec; vm: Vm; dir: string }[] = [];
  const [attacker, victim] = [() => machines[0]!, () => machines[1]!];

  async function startMachine(machineId: string) {
    const { layout, driver } = host;
    const { vm: files, qemuLog } = layout.machine(machineId);
    await mkdir(files.dir, { recursive: true, mode: 0o700 });
    for (const [file, bytes] of [
      [files.disk, MIB],
      [files.memory, SIZE.memoryMiB * MIB],
    ] as const) {
      await writeFile(file, '');
      await truncate(file, bytes);
    }
    const spec: VmSpec = {
      ...{ machineId, ...SIZE, memoryPath: files.memory, diskPath: files.disk, logPath: qemuLog },
      ...{ socketDir: layout.sockets(machineId).dir, begin: { kind: 'restore' } },
      ...{ machineType: driver.platform.machineType, cpuModel: driver.platform.cpuModel },
    };
    const vm = await driver.start(spec);
    const [, name] = /^0::(\/.+)$/m.exec(await readFile(`/proc/${vm.process.pid}/cgroup`, 'utf8'))!;
    machines.push({ spec, vm, dir: `/sys/fs/cgroup${name}` });
  }

  beforeAll(async () => {
    host = await openTestHost();
    for (const machineId of ['mch_cgattacker01', 'mch_cgvictim0001']) await startMachine(machineId);
  });
  afterAll(async () => {
    for (const machine of machines) await end(machine);
  });

  const end = async ({ spec, vm }: { spec: VmSpec; vm: Vm }) => {
    await vm.kill();
    await host.driver.vacate({ ...spec, files: [spec.diskPath] });
    await rm(path.dirname(path.dirname(spec.diskPath)), { recursive: true, force: true });
  };
  const value = async ({ dir }: { dir: string }, file: string) => (await readFile(`${dir}/${file}`, 'utf8')).trim();
  /** Runs a program in a machine's cgroup, as its QEMU's child would. */
  const inside = ({ dir }: { dir: string }, ...argv: string[]) =>
    run('sh', ['-c', 'echo 0 >"$0/cgroup.procs" && exec "$@"', dir, ...argv]);
  const isAlive = ({ vm }: { vm: Vm }) => existsSync(`/proc/${vm.process.pid}`);

  it('has the limits of the machine’s size, and all of QEMU in it', async () => {
    const device = await findIoDevice(host.layout.dataDir);
    const io = device === null ? null : { device, bytesPerSecond: loadHostEnv().HOSTD_IO_MIB_PER_S * MIB };
    const size = { ...SIZE, diskBytes: MIB, accelerator: host.driver.platform.accelerator };
    for (const machine of machines) {
      const { 'io.max': ioMax, ...others } = cgroupLimits(size, io);
      for (const [file, wanted] of Object.entries(others)) expect(await value(machine, file), file).toBe(wanted);
      if (ioMax) expect(await value(machine, 'io.max')).toContain(ioMax);
      const { pid } = machine.vm.process;
      const keeper = /^PPid:\s+(\d+)$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))![1]!;
      // QEMU and the program that made its namespaces, from their first page on.
      expect((await value(machine, 'cgroup.procs')).split('\n').sort()).toEqual([keeper, String(pid)].sort());
      expect(Number(await value(machine, 'memory.current'))).toBeGreaterThan(MIB);
    }
    expect(attacker().dir).not.toBe(victim().dir);
  });

  it('lets a QEMU that was taken over start no more processes than it may', async () => {
    const { stdout } = await inside(attacker(), 'python3', '-c', FORKS, `${attacker().dir}/pids.peak`);
    const [started, most] = stdout.split(' ').map(Number);
    // QEMU's threads come and go, so that only what there was in all is known to the last one.
    expect(most).toBe(Number(await value(attacker(), 'pids.max')));
    expect(started).toBeLessThan(most!);
    expect(await value(attacker(), 'pids.events')).toMatch(/^max [1-9]/m);
    expect(await value(victim(), 'pids.events')).toMatch(/^max 0$/m);
  });

  it('holds back what it writes', async () => {
    const device = await findIoDevice(host.layout.dataDir);
    await writeFile(`${attacker().dir}/io.max`, `${device} wbps=${MIB}`);
    const file = path.join(path.dirname(attacker().spec.diskPath), 'written');
    const startedAt = performance.now();
    await inside(attacker(), 'dd', 'if=/dev/zero', `of=${file}`, 'bs=1M', 'count=4', 'oflag=direct');
    // Four MiB at one per second, the first of them at once.
    expect(performance.now() - startedAt).toBeGreaterThan(2000);
  });

  it('ends a QEMU that takes more memory, whole, and no other', async () => {
    const taken = Number(await value(attacker(), 'memory.max')) + MIB;
    await expect(inside(attacker(), 'python3', '-c', `bytearray(b'x') * ${taken}`)).rejects.toThrow();
    await expect.poll(() => isAlive(attacker()), { timeout: 30_000 }).toBe(false);
    expect(await value(attacker(), 'memory.events')).toMatch(/^oom_group_kill [1-9]/m);
    expect(isAlive(victim())).toBe(true);
    expect(await value(victim(), 'memory.events')).toMatch(/^oom_kill 0$/m);
  });

  it('is gone with its machine', async () => {
    for (const machine of machines.splice(0)) {
      await end(machine);
      expect(existsSync(machine.dir)).toBe(false);
    }
  });
});
