import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, open, rm } from 'node:fs/promises';
import path from 'node:path';
import type { Accelerator } from '../../hostd/contract/machines.ts';
import { QemuGuestAgent } from '../../hostd/hypervisor/qemu/guest-agent.ts';
import { cpuArgument, QEMU } from '../../hostd/hypervisor/qemu/platform.ts';
import { tailOf } from '../../hostd/hypervisor/qemu/process.ts';
import { QmpClient } from '../../hostd/hypervisor/qemu/qmp.ts';
import { isErrno } from '../../hostd/storage/files.ts';
import type { RunInGuest } from '../guest/verifier.ts';

const START_DEADLINE_MS = 120_000;
const CONNECT_AGAIN_MS = 2;
const SLOW_COMMAND_MS = 10 * 60_000;

export type PlainSpec = {
  /** Short: its sockets are in here. */
  dir: string;
  memoryMiB: number;
  /** qcow2 image. */
  disk: string;
  platform: { accelerator: Accelerator; machineType: string; cpuModel: string };
  begin: { kind: 'boot'; kernel: string; initrd: string; append: string } | { kind: 'loadvm'; tag: string };
};

/**
 * QEMU as a person would run it by hand: the guest hardware that hostd gives, anonymous memory, a qcow2 disk, no sandbox. Spoken
 * to by QMP and by the guest agent, which answers sooner after a restore than anything else in the guest: peers get the quickest
 * way there is.
 */
export class PlainQemu {
  readonly pid: number;
  readonly qmp: QmpClient;
  readonly agent: QemuGuestAgent;
  readonly #child: ChildProcess;
  readonly #gone: Promise<void>;

  private constructor(child: ChildProcess, gone: Promise<void>, qmp: QmpClient, agent: QemuGuestAgent) {
    this.#child = child;
    this.#gone = gone;
    this.pid = child.pid!;
    this.qmp = qmp;
    this.agent = agent;
  }

  static args({ dir, memoryMiB, disk, platform, begin }: PlainSpec): string[] {
    const chardev = (id: string) => ['-chardev', `socket,id=${id},path=${path.join(dir, id)},server=on,wait=off`];
    return [
      ...['-nodefaults', '-no-user-config', '-display', 'none'],
      ...['-machine', `${platform.machineType},usb=off,sata=off,smbus=off,vmport=off`],
      ...['-accel', platform.accelerator === 'tcg' ? 'tcg,thread=multi' : 'kvm', '-cpu', cpuArgument(platform.cpuModel)],
      ...['-smp', '1', '-m', `${memoryMiB}M`, ...chardev('qmp'), '-mon', 'chardev=qmp,mode=control'],
      ...['-chardev', 'null,id=console', '-serial', 'chardev:console'],
      ...['-drive', `file=${disk},if=none,id=disk,format=qcow2,cache=writeback,discard=unmap`],
      ...['-device', 'virtio-blk-pci,drive=disk', '-device', 'virtio-rng-pci', '-device', 'virtio-serial-pci'],
      ...[...chardev('ssh'), '-device', 'virtserialport,chardev=ssh,name=warren.ssh'],
      ...[...chardev('agent'), '-device', 'virtserialport,chardev=agent,name=org.qemu.guest_agent.0'],
      ...['-device', 'vmgenid,guid=324e6eaf-d1d1-4bf6-bf41-b9bb6c91fb87', '-S'],
      ...(begin.kind === 'boot'
        ? ['-kernel', begin.kernel, '-initrd', begin.initrd, '-append', begin.append]
        : ['-option-rom', 'pvh.bin', '-loadvm', begin.tag]),
    ];
  }

  /** Starts the process, connects and lets the CPUs run. */
  static async start(spec: PlainSpec): Promise<PlainQemu> {
    await rm(spec.dir, { recursive: true, force: true });
    await mkdir(spec.dir, { recursive: true, mode: 0o700 });
    const logPath = path.join(spec.dir, 'qemu.log');
    const log = await open(logPath, 'a');
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', QEMU, ...PlainQemu.args(spec)], { stdio: ['ignore', log.fd, log.fd] });
    let ended = false;
    const gone = new Promise<void>((resolve) => {
      child.once('exit', () => {
        ended = true;
        resolve();
      });
    });
    await log.close();
    try {
      const qmp = await whenUp(
        () => QmpClient.connect(path.join(spec.dir, 'qmp'), START_DEADLINE_MS),
        () => ended,
      );
      const agent = await QemuGuestAgent.connect(path.join(spec.dir, 'agent'));
      await qmp.execute('cont', {}, SLOW_COMMAND_MS);
      return new PlainQemu(child, gone, qmp, agent);
    } catch (cause) {
      child.kill('SIGKILL');
      throw new Error(`plain QEMU did not start: ${await tailOf(logPath)}`, { cause });
    }
  }

  /** Waits for the guest's first answer, then runs programs through its agent. */
  guest(deadlineMs: number): RunInGuest {
    return async (argv, options) => {
      await this.agent.ping(deadlineMs);
      const done = await this.agent.exec(argv, { timeoutMs: options?.timeoutMs ?? 60_000 });
      if (done.exitCode === 0) return done.stdout;
      throw new Error(`${argv.join(' ')} ended with ${done.exitCode} in the guest: ${done.stderr.slice(-2000)}`);
    };
  }

  /** A command of the human monitor. @throws with what it printed, since it says nothing when it succeeds */
  async monitor(command: string): Promise<void> {
    const said = String(await this.qmp.execute('human-monitor-command', { 'command-line': command }, SLOW_COMMAND_MS));
    if (said.trim() !== '') throw new Error(`${command}: ${said.trim()}`);
  }

  /** Ends the process and waits until it is gone. */
  async kill(): Promise<void> {
    this.agent.close();
    this.qmp.close();
    this.#child.kill('SIGKILL');
    await this.#gone;
  }

  /** As a person ends it: QEMU writes what it holds of the disk. */
  async quit(): Promise<void> {
    await this.qmp.execute('quit').catch(() => undefined);
    await this.#gone;
    this.agent.close();
    this.qmp.close();
  }
}

/** QEMU makes its control socket when it is set up. */
async function whenUp<T>(connect: () => Promise<T>, ended: () => boolean): Promise<T> {
  const deadline = performance.now() + START_DEADLINE_MS;
  for (;;) {
    try {
      return await connect();
    } catch (error) {
      if (ended() || performance.now() > deadline) throw error;
      if (!isErrno(error, 'ENOENT') && !isErrno(error, 'ECONNREFUSED')) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, CONNECT_AGAIN_MS));
  }
}
