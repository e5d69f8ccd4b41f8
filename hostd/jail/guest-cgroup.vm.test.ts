import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ExecResult, MachineView } from '../contract/machines.ts';
import { startMachineMaker } from '../machines/testing/asleep.ts';
import type { HostdProcess } from '../machines/testing/hostd-process.ts';
import { openTestHost, whyNoVms } from '../machines/testing/vm-host.ts';
import { whyNoLimits } from './testing/limits.ts';

/*
 * Real guests within the cgroups of their machines: one that takes all it can is held and lives, the other one goes on. Only
 * hosts with cgroup v2 can show it; elsewhere `node scripts/on-cgroup2.ts` runs this file on a computer that has it, where guests
 * are emulated by what is emulated and every step takes a hundred times as long as it should.
 */
const MIB = 1024 ** 2;
const GREEDY = 'mch_cggreedy000001';
const NEIGHBOUR = 'mch_cgneighbour001';
const SLOW_MS = 900_000;
const reason = (await whyNoVms()) ?? (await whyNoLimits());

describe.skipIf(reason !== null)(`guests in their cgroups${reason === null ? '' : ` (skipped: ${reason})`}`, () => {
  let hostd: HostdProcess;
  let bootId: string;

  /** Through the guest agent: no handshake has to be computed first. */
  const inGuest = async (machineId: string, script: string) => {
    const body = { argv: ['sh', '-c', script], user: 'root', network: false, timeoutMs: SLOW_MS };
    const { exitCode, stdout, stderr } = await hostd.call<ExecResult>('POST', `machines/${machineId}/exec`, body);
    return { exitCode, stdout: stdout.trim(), stderr };
  };
  const cgroupOf = async (machineId: string) => {
    const { process } = await hostd.call<MachineView>('GET', `machines/${machineId}`);
    const [, name] = /^0::(\/.+)$/m.exec(await readFile(`/proc/${process!.pid}/cgroup`, 'utf8'))!;
    const dir = `/sys/fs/cgroup${name}`;
    const value = async (file: string) => (await readFile(`${dir}/${file}`, 'utf8')).trim();
    return { dir, value, pid: process!.pid };
  };
  const bootIdOf = async (machineId: string) => (await inGuest(machineId, 'cat /proc/sys/kernel/random/boot_id')).stdout;

  beforeAll(async () => {
    const { layout } = await openTestHost();
    const maker = await startMachineMaker(layout.dataDir);
    hostd = maker.hostd;
    for (const machineId of [GREEDY, NEIGHBOUR]) await maker.make(machineId);
    bootId = await bootIdOf(GREEDY);
  }, SLOW_MS);
  afterAll(() => hostd?.destroy());

  it(
    'lets a guest fill its memory, and neither QEMU nor the neighbour notices',
    async () => {
      const greedy = await cgroupOf(GREEDY);
      const { stdout } = await inGuest(
        GREEDY,
        'mkdir /run/full; mount -t tmpfs -o size=100% full /run/full; dd if=/dev/zero of=/run/full/file bs=1M count=200 2>/dev/null; wc -c </run/full/file',
      );
      expect(Number(stdout)).toBe(200 * MIB);
      expect(Number(await greedy.value('memory.current'))).toBeGreaterThan(200 * MIB);
      expect(await greedy.value('memory.events')).toMatch(/^oom_kill 0$/m);
      expect((await inGuest(NEIGHBOUR, 'echo here')).stdout).toBe('here');
      await inGuest(GREEDY, 'umount /run/full');
    },
    SLOW_MS,
  );

  it(
    'holds back a guest that computes without end, and it still answers',
    async () => {
      const greedy = await cgroupOf(GREEDY);
      await inGuest(GREEDY, 'setsid sh -c "while :; do :; done" >/dev/null 2>&1 </dev/null &');
      // A third of what it has: an emulated CPU alone does not reach the limit, which leaves room for the disk.
      const limit = await greedy.value('cpu.max');
      await writeFile(`${greedy.dir}/cpu.max`, '50000 100000');
      const throttled = async () => Number(/^nr_throttled (\d+)/m.exec(await greedy.value('cpu.stat'))![1]);
      await expect.poll(throttled, { timeout: 60_000 }).toBeGreaterThan(20);
      expect((await inGuest(NEIGHBOUR, 'echo here')).stdout).toBe('here');
      await writeFile(`${greedy.dir}/cpu.max`, limit);
      expect((await inGuest(GREEDY, 'pkill -f "[w]hile :"; echo here')).stdout).toBe('here');
    },
    SLOW_MS,
  );

  it(
    'leaves its cgroup when it sleeps and has one again when it wakes, the same guest going on',
    async () => {
      const before = await cgroupOf(GREEDY);
      await hostd.call('POST', `machines/${GREEDY}/suspend`, { lease: 1, snapshotId: 'snp_cggreedy000001' });
      expect(existsSync(before.dir)).toBe(false);
      const source = { kind: 'resume', snapshotId: 'snp_cggreedy000001' };
      await hostd.call('PUT', `machines/${GREEDY}`, { lease: 2, source, egress: { services: [], allow: [] } });
      const after = await cgroupOf(GREEDY);
      expect(after.pid).not.toBe(before.pid);
      expect(Number(await after.value('memory.max'))).toBeGreaterThan(512 * MIB);
      expect(await bootIdOf(GREEDY)).toBe(bootId);
    },
    SLOW_MS,
  );
});
