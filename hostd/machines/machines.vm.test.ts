import { readFile, rm, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type {
  CheckpointResult,
  ExecResult,
  MachineSource,
  MachineView,
  SnapshotView,
  SuspendResult,
} from '../contract/machines.ts';
import { HostdProcess } from './testing/hostd-process.ts';
import { whyNoVms } from './testing/vm-host.ts';

/*
 * The real hostd, killed and started again, over real machines. One machine is booted and handed from test to test, since a
 * boot is what costs under emulation.
 */
const MACHINE = 'mch_vmtest0001';
const FORKS = ['mch_vmtest0002', 'mch_vmtest0003'] as const;
const BOOT_ID = 'cat /proc/sys/kernel/random/boot_id';
const reason = await whyNoVms();

describe.skipIf(reason !== null)(`machines on QEMU${reason === null ? '' : ` (skipped: ${reason})`}`, () => {
  let hostd: HostdProcess;
  let machine: MachineView;
  let lease = 1;
  let snapshots = 0;
  let latest: SuspendResult;
  let pattern: string;

  const create = (machineId: string, source: MachineSource, hostname = 'warren') =>
    hostd.call<MachineView>('PUT', `machines/${machineId}`, {
      lease,
      source,
      hostname,
      memoryMiB: 768,
      egress: { services: [], allow: [] },
    });
  const nextSnapshot = () => `snp_vmtest000${++snapshots}`;
  const suspend = async () => {
    latest = await hostd.call<SuspendResult>('POST', `machines/${MACHINE}/suspend`, { lease, snapshotId: nextSnapshot() });
    return latest;
  };
  const resume = async () => {
    lease += 1;
    machine = await create(MACHINE, { kind: 'resume', snapshotId: latest.snapshot.snapshotId });
  };
  const lastOf = (event: string) =>
    hostd.log
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line))
      .findLast((entry) => entry.event === event);
  const commandLineOf = async (view: MachineView) => (await readFile(`/proc/${view.process?.pid}/cmdline`, 'utf8')).split('\0');

  beforeAll(async () => {
    hostd = await HostdProcess.make({ HOSTD_SPARES: '1' });
    await hostd.start();
    machine = await create(MACHINE, { kind: 'image' });
  });
  afterAll(() => hostd?.destroy());

  it('has its own kernel and memory, and no network device', async () => {
    expect(await hostd.shell(MACHINE, 'ls /sys/class/net')).toBe('lo');
    expect(await hostd.shell(MACHINE, BOOT_ID)).toBe(machine.bootId);
    expect(Object.keys(machine.timingsMs)).toEqual(['qemu', 'running', 'guest', 'ssh']);
    const status = await readFile(`/proc/${machine.process?.pid}/status`, 'utf8');
    expect(status).toMatch(/^CapEff:\s0+$/m);
    expect(status).toMatch(/^NoNewPrivs:\s1$/m);
    expect(await commandLineOf(machine)).toContain('on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny');
  });

  it('goes on after a suspend with the same kernel, the same processes and the same memory', async () => {
    const hash = 'sha256sum </dev/shm/pattern';
    await hostd.shell(MACHINE, 'head -c 48M /dev/urandom >/dev/shm/pattern; setsid sleep 98765 >/dev/null 2>&1 & echo');
    pattern = await hostd.shell(MACHINE, hash);
    const sleeper = await hostd.shell(MACHINE, 'cut -d" " -f1,22 /proc/$(pgrep -f "^sleep 98765")/stat');
    const held = machine.process!;

    const { processGone, releasedMs, snapshot } = await suspend();
    expect(processGone).toBe(true);
    expect(releasedMs).toBeGreaterThan(0);
    // Seen from outside as well: nothing has that pid, or something that started later.
    const stat = await readFile(`/proc/${held.pid}/stat`, 'utf8').catch(() => '');
    expect(stat.split(' ')).not.toContain(held.startTimeTicks);
    expect(await hostd.call('GET', 'machines')).toEqual([]);
    const [pid, startTimeTicks] = sleeper.split(' ');
    expect(snapshot.manifest.processes).toContainEqual({
      pid: Number(pid),
      startTimeTicks,
      user: 'root',
      command: 'sleep 98765',
    });

    const bootId = machine.bootId;
    await resume();
    expect(machine.bootId).toBe(bootId);
    expect(Object.keys(machine.timingsMs)).toEqual(['qemu', 'loaded', 'running', 'guest']);
    // What needs no network runs before SSH is there, as the user and in the environment that it would have over SSH.
    const early = { argv: ['sh', '-c', 'id -un; echo $HTTP_PROXY; cat'], stdin: 'typed', network: false };
    const asked = await hostd.call<ExecResult>('POST', `machines/${MACHINE}/exec`, early);
    expect(asked).toMatchObject({ exitCode: 0, stdout: 'agent\nhttp://127.0.0.1:3128\ntyped' });
    expect(await hostd.shell(MACHINE, hash)).toBe(pattern);
    expect(await hostd.shell(MACHINE, 'cut -d" " -f1,22 /proc/$(pgrep -f "^sleep 98765")/stat')).toBe(sleeper);
    expect(Math.abs(Number(await hostd.shell(MACHINE, 'date +%s%3N')) - Date.now())).toBeLessThan(3_000);
  });

  it('is taken up, untouched, by a hostd that starts after a kill -9, also when its snapshot was removed', async () => {
    await hostd.call('DELETE', `snapshots/${latest.snapshot.snapshotId}`);
    await hostd.kill();
    await hostd.start();
    expect(await hostd.call('GET', `machines/${MACHINE}`)).toEqual(machine);
    expect(await hostd.shell(MACHINE, BOOT_ID)).toBe(machine.bootId);
  });

  it.each([50, 400, 900])(
    'is either running or asleep, never lost or twice, when hostd is killed %d ms into a suspend',
    async (afterMs) => {
      const snapshotId = nextSnapshot();
      const cut = hostd.send('POST', `machines/${MACHINE}/suspend`, { lease, snapshotId }).catch(() => null);
      await new Promise((resolve) => setTimeout(resolve, afterMs));
      await hostd.kill();
      await cut;
      await hostd.start();
      const machines = await hostd.call<MachineView[]>('GET', 'machines');
      const found = (await hostd.call<SnapshotView[]>('GET', 'snapshots')).filter((one) => one.snapshotId === snapshotId);
      expect(machines.length + found.length).toBe(1);
      if (found.length === 1) {
        latest = { snapshot: found[0]!, releasedMs: 0, processGone: true };
        await resume();
      }
      expect(await hostd.shell(MACHINE, BOOT_ID)).toBe(machine.bootId);
    },
  );

  it('goes on from a memory whose snapshot is long gone', async () => {
    await suspend();
    await resume();
    expect(await hostd.shell(MACHINE, 'sha256sum </dev/shm/pattern')).toBe(pattern);
  });

  it('becomes a process that waited for it, which is gone like any other', async () => {
    await vi.waitFor(() => expect(lastOf('spare.waiting')).toBeTruthy(), { timeout: 60_000 });
    await suspend();
    await resume();
    expect(lastOf('machine.running')).toMatchObject({ machineId: MACHINE, spare: true });
    expect(await commandLineOf(machine)).toContain('-preconfig');
    expect(await hostd.shell(MACHINE, 'sha256sum </dev/shm/pattern')).toBe(pattern);
    await hostd.kill();
    await hostd.start();
    expect(await hostd.call('GET', `machines/${MACHINE}`)).toEqual(machine);
    await suspend();
    expect(latest.processGone).toBe(true);
    await resume();
  });

  it('leaves a checkpoint behind while it runs, of memory and disk of one moment, and goes back to it', async () => {
    const count = 'i=0; while :; do i=$((i+1)); echo $i >/dev/shm/count; sleep 0.02; done';
    const blob = 'sha256sum </var/tmp/blob';
    const blobHash = await hostd.shell(MACHINE, `head -c 8M /dev/urandom >/var/tmp/blob; ${blob}`);
    await hostd.shell(MACHINE, `setsid sh -c '${count}' >/dev/null 2>&1 & echo`);
    const counted = async () => Number(await hostd.shell(MACHINE, 'cat /dev/shm/count'));
    const before = await counted();
    const snapshotId = nextSnapshot();
    const { snapshot, stoppedMs } = await hostd.call<CheckpointResult>('POST', `machines/${MACHINE}/checkpoint`, {
      lease,
      snapshotId,
    });
    expect(stoppedMs).toBeGreaterThan(0);
    expect(snapshot.manifest.bootId).toBe(machine.bootId);
    expect(await hostd.call('GET', `machines/${MACHINE}`)).toEqual(machine);
    await vi.waitFor(async () => expect(await counted()).toBeGreaterThan(before + 100), { timeout: 60_000 });
    const after = await counted();
    await hostd.shell(MACHINE, 'head -c 8M /dev/zero >/var/tmp/blob; sync; rm /var/tmp/blob; sync');

    lease += 1;
    const back = await hostd.call<MachineView>('POST', `machines/${MACHINE}/rewind`, { lease, snapshotId });
    expect(back).toMatchObject({ machineId: MACHINE, lease, bootId: machine.bootId });
    machine = back;
    // The counter goes on from where it was, and the pattern in memory is whole.
    const resumed = await counted();
    expect(resumed).toBeGreaterThanOrEqual(before);
    expect(resumed).toBeLessThan(after);
    expect(await hostd.shell(MACHINE, 'pkill -f "i=[0];"; sha256sum </dev/shm/pattern')).toBe(pattern);
    // The disk is of the same moment: read anew, it holds what the memory knows of, and that was removed later.
    expect(await hostd.shell(MACHINE, `sync; echo 3 >/proc/sys/vm/drop_caches; ${blob}`)).toBe(blobHash);
  });

  it('forks into machines that share nothing that must differ', async () => {
    await suspend();
    const source = { kind: 'fork', snapshotId: latest.snapshot.snapshotId } as const;
    const identity = 'cat /etc/machine-id; cat /proc/sys/kernel/hostname; sha256sum </etc/warren/ssh_host_ed25519_key';
    const seen: string[][] = [];
    for (const [index, machineId] of FORKS.entries()) {
      const fork = await create(machineId, source, `fork${index}`);
      expect(fork.bootId).toBe(machine.bootId);
      const generation = (await commandLineOf(fork)).find((arg) => arg.startsWith('vmgenid,guid='))!;
      seen.push([...(await hostd.shell(machineId, identity)).split('\n'), generation]);
      // The mechanism, not the luck of two numbers: the kernel saw the new generation id and reseeded.
      expect(await hostd.shell(machineId, 'dmesg | tail -n 5')).toContain('crng reseeded due to virtual machine fork');
    }
    const [first, second] = seen as [string[], string[]];
    expect(first).toHaveLength(4);
    for (const [index, value] of first.entries()) expect(value).not.toBe(second[index]);
    for (const machineId of FORKS) await hostd.call('DELETE', `machines/${machineId}?lease=${lease}`);
  });

  it('is refused when one bit of its device state was flipped, and when its manifest is gone', async () => {
    const files = hostd.layout.snapshot(latest.snapshot.snapshotId);
    const source = { kind: 'fork', snapshotId: latest.snapshot.snapshotId } as const;
    const body = { lease, source, egress: { services: [], allow: [] } };
    const state = await readFile(files.deviceState);
    const flipped = Buffer.from(state);
    flipped[1000]! ^= 1;
    await writeFile(files.deviceState, flipped);
    expect(await hostd.send('PUT', `machines/${FORKS[0]}`, body)).toMatchObject({ ok: false, error: { code: 'incompatible' } });
    await writeFile(files.deviceState, state);

    const manifest = await readFile(files.manifest);
    await rm(files.manifest);
    expect(await hostd.send('PUT', `machines/${FORKS[0]}`, body)).toMatchObject({ ok: false, error: { code: 'not_found' } });
    await writeFile(files.manifest, manifest);
    expect(await hostd.call('GET', 'machines')).toEqual([]);
  });

  it('boots from the disk of a snapshot whose memory is lost', async () => {
    const files = hostd.layout.snapshot(latest.snapshot.snapshotId);
    await writeFile(files.memory, 'lost');
    lease += 1;
    const { snapshotId } = latest.snapshot;
    const refused = await hostd.send('PUT', `machines/${MACHINE}`, {
      lease,
      source: { kind: 'resume', snapshotId },
      egress: { services: [], allow: [] },
    });
    expect(refused).toMatchObject({ ok: false, error: { code: 'incompatible', message: expect.stringContaining('disk') } });
    const cold = await create(MACHINE, { kind: 'disk', snapshotId });
    expect(cold.bootId).not.toBe(machine.bootId);
    machine = cold;
  });

  it('is exited with its reason and its console when the guest powers off', async () => {
    await hostd
      .shell(MACHINE, 'echo last words >/dev/console; systemctl poweroff --force --force >/dev/null 2>&1 & echo')
      .catch(() => '');
    await vi.waitFor(
      async () => expect(await hostd.call('GET', `machines/${MACHINE}`)).toMatchObject({ state: 'exited', process: null }),
      { timeout: 60_000, interval: 200 },
    );
    expect((await hostd.call<MachineView>('GET', `machines/${MACHINE}`)).exitReason).toContain('powered off');
    expect(await hostd.call<string>('GET', `machines/${MACHINE}/console`)).toContain('last words');
  });
});
