import { createHash, randomUUID } from 'node:crypto';
import { access, open, readFile, rm, writeFile } from 'node:fs/promises';
import { HostdError } from '../../errors.ts';
import { asDiskError } from '../../storage/files.ts';
import type {
  Driver,
  Exit,
  Platform,
  ProcessRef,
  RunState,
  Saved,
  SaveTo,
  Spare,
  SpareSpec,
  Vm,
  VmAgent,
  VmPlace,
  VmRef,
  VmSpec,
} from '../driver.ts';

/*
 * A hypervisor without machines, for tests of everything above the driver. It keeps the driver's promises (the same contract
 * suite runs against it) and nothing else. Its processes live in a FakeHost, which outlives drivers as QEMU outlives hostd.
 */

type Guest = { bootId: string; files: Record<string, string>; clockMs: number };

class FakeProcess {
  readonly ref: ProcessRef;
  readonly socketDir: string;
  state: RunState;
  isStalled = false;
  guest: Guest;
  console = '';
  cpuMs = 0;
  #settle: (exit: Exit) => void = () => {};
  readonly exited = new Promise<Exit>((resolve) => {
    this.#settle = resolve;
  });

  constructor(ref: ProcessRef, spec: VmSpec) {
    this.ref = ref;
    this.socketDir = spec.socketDir;
    this.state = spec.begin.kind === 'boot' ? 'paused' : 'empty';
    this.guest = { bootId: randomUUID(), files: {}, clockMs: 0 };
    this.guest.files['/proc/sys/kernel/random/boot_id'] = `${this.guest.bootId}\n`;
  }

  end(reason: string): void {
    this.state = 'ended';
    this.#settle({ reason });
  }
}

export class FakeHost {
  readonly processes = new Map<number, FakeProcess>();
  /** Socket directories of machines that were started and not vacated. */
  readonly held = new Set<string>();
  #nextPid = 1000;

  spawn(spec: VmSpec): FakeProcess {
    const pid = this.#nextPid++;
    const made = new FakeProcess({ pid, startTimeTicks: String(pid * 7) }, spec);
    this.processes.set(pid, made);
    this.held.add(spec.socketDir);
    return made;
  }

  find(ref: ProcessRef): FakeProcess | null {
    const found = this.processes.get(ref.pid);
    return found && found.state !== 'ended' && found.ref.startTimeTicks === ref.startTimeTicks ? found : null;
  }

  /** The process dies without anyone having asked, as by a kernel that ran out of memory. */
  crash(ref: ProcessRef): void {
    this.find(ref)?.end('crashed');
  }
}

export const FAKE_PLATFORM: Platform = { accelerator: 'tcg', qemuVersion: '7.2.0', machineType: 'pc-q35-7.2', cpuModel: 'EPYC' };

export class FakeDriver implements Driver {
  readonly platform: Platform;
  readonly #host: FakeHost;

  constructor(host: FakeHost, platform: Platform = FAKE_PLATFORM) {
    this.#host = host;
    this.platform = platform;
  }

  async start(spec: VmSpec, spare?: Spare): Promise<Vm> {
    await Promise.all([spec.diskPath, spec.memoryPath].map((file) => access(file))).catch((cause) => {
      throw new HostdError('internal', { message: 'disk or memory cannot be opened', phase: 'fake.start', cause });
    });
    if (!spare) return new FakeVm(this.#host.spawn(spec));
    const waiting = this.#host.find(spare.process);
    if (!waiting) throw new HostdError('internal', { message: 'the process that waited has ended', phase: 'fake.start' });
    return new FakeVm(waiting);
  }

  async makeSpare(spec: SpareSpec): Promise<Spare> {
    const made = this.#host.spawn({ ...spec, machineId: spec.spareId, memoryPath: '', diskPath: '', begin: { kind: 'restore' } });
    return { process: made.ref, discard: async () => made.end('discarded') };
  }

  async adopt(ref: VmRef): Promise<Vm | null> {
    const found = this.#host.find(ref.process);
    return found && new FakeVm(found);
  }

  async isAlive(process: ProcessRef): Promise<boolean> {
    return this.#host.find(process) !== null;
  }

  async cpuMs(process: ProcessRef): Promise<number> {
    return this.#host.find(process)?.cpuMs ?? 0;
  }

  async killUnrecorded(socketDir: string): Promise<void> {
    for (const found of this.#host.processes.values()) if (found.socketDir === socketDir) found.end('killed');
  }

  async vacate({ socketDir }: VmPlace): Promise<void> {
    this.#host.held.delete(socketDir);
  }
}

class FakeVm implements Vm {
  readonly process: ProcessRef;
  readonly sshSocketPath: string;
  readonly agent: VmAgent;
  readonly exited: Promise<Exit>;
  readonly #of: FakeProcess;

  constructor(of: FakeProcess) {
    this.#of = of;
    this.process = of.ref;
    this.sshSocketPath = `${of.socketDir}/ssh.sock`;
    this.exited = of.exited;
    this.agent = new FakeAgent(of);
  }

  get isStalled(): boolean {
    return this.#of.isStalled;
  }

  async runState(): Promise<RunState> {
    return this.#of.state;
  }

  async load({ path, sha256 }: { path: string; sha256: string }): Promise<void> {
    if (this.#of.state !== 'empty') throw new HostdError('conflict', { message: 'already holds a state', phase: 'fake.load' });
    const text = await readFile(path, 'utf8');
    if (digest(text) !== sha256) throw new HostdError('incompatible', { message: 'damaged state', phase: 'fake.load' });
    this.#of.guest = JSON.parse(text) as Guest;
    this.#of.state = 'paused';
  }

  async run(): Promise<void> {
    if (this.#of.state === 'empty') throw new HostdError('conflict', { message: 'no state yet', phase: 'fake.run' });
    this.#of.state = 'running';
    this.#of.isStalled = false;
    this.#of.cpuMs += 10;
  }

  async save(to: SaveTo): Promise<Saved> {
    const saved = await this.#write(to);
    this.#of.state = 'paused';
    return saved;
  }

  async checkpoint(to: SaveTo, whileStopped: () => Promise<void>): Promise<Saved & { stoppedMs: number }> {
    this.#of.state = 'paused';
    try {
      const saved = await this.#write(to);
      await whileStopped();
      return { ...saved, stoppedMs: 1 };
    } catch (error) {
      for (const file of [to.deviceState, to.memory]) await rm(file, { force: true });
      throw error;
    } finally {
      this.#of.state = 'running';
    }
  }

  /** What a guest of this driver changes is its files; they stand at the start of its memory. */
  async #write(to: SaveTo): Promise<Saved> {
    const text = JSON.stringify(this.#of.guest);
    try {
      const handle = await open(to.deviceState, 'w', 0o600);
      await handle.writeFile(text).finally(() => handle.close());
      await writeFile(to.memory, text, { flag: 'r+' });
    } catch (error) {
      for (const file of [to.deviceState, to.memory]) await rm(file, { force: true }).catch(() => undefined);
      throw asDiskError(error, 'fake.save');
    }
    return { sha256: digest(text), bytes: text.length, changedBytes: text.length, zeroedBytes: 0 };
  }

  async kill(): Promise<void> {
    this.#of.end('killed');
  }

  async drainConsole(): Promise<string> {
    const text = this.#of.console;
    this.#of.console = '';
    return text;
  }

  release(): void {}
}

class FakeAgent implements VmAgent {
  readonly #of: FakeProcess;

  constructor(of: FakeProcess) {
    this.#of = of;
  }

  async ping(): Promise<void> {
    if (this.#of.state !== 'running')
      throw new HostdError('guest_unreachable', { message: 'the CPUs do not run', phase: 'fake.agent' });
  }

  async setClock(epochMs: number): Promise<void> {
    await this.ping();
    this.#of.guest.clockMs = epochMs;
  }

  /** Knows `tee FILE` and `cat FILE`; everything else succeeds without output. */
  async exec(argv: string[], options: { stdin?: string } = {}): Promise<{ exitCode: number; stdout: string; stderr: string }> {
    await this.ping();
    const [program, file] = argv;
    const { files } = this.#of.guest;
    if (program === 'tee' && file !== undefined) files[file] = options.stdin ?? '';
    if (program === 'cat' && file !== undefined) {
      const found = files[file];
      return { exitCode: found === undefined ? 1 : 0, stdout: found ?? '', stderr: '' };
    }
    return { exitCode: 0, stdout: '', stderr: '' };
  }

  async writeFile(path: string, text: string): Promise<void> {
    await this.ping();
    this.#of.guest.files[path] = text;
  }

  async readFile(path: string): Promise<string> {
    await this.ping();
    const found = this.#of.guest.files[path];
    if (found === undefined) throw new HostdError('internal', { message: `no such file ${path}`, phase: 'fake.agent' });
    return found;
  }
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
