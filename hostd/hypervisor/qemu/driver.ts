import { randomUUID } from 'node:crypto';
import { mkdir, open, rm } from 'node:fs/promises';
import { HostdError, messageOf } from '../../errors.ts';
import { type Confinement, confine } from '../../jail/argv.ts';
import type { Jails } from '../../jail/jails.ts';
import { makePrivateDir } from '../../storage/files.ts';
import { socketFiles } from '../../storage/layout.ts';
import type { Driver, Platform, ProcessRef, Spare, SpareSpec, Vm, VmPlace, VmRef, VmSpec } from '../driver.ts';
import { nameOf, qemuArgs, spareArgs } from './args.ts';
import { listenForHeir } from './listen.ts';
import { Copier } from './memory/copier.ts';
import { QEMU } from './platform.ts';
import { cpuMsOf, endProcess, findByArgument, isAlive, spawnDetached, startError } from './process.ts';
import { QmpClient } from './qmp.ts';
import { QemuSpare } from './spare.ts';
import { connectVm } from './vm.ts';

const START_DEADLINE_MS = 30_000;
const ADOPT_DEADLINE_MS = 5_000;
/** How long QEMU's parent may take to say how it ended. */
const OBITUARY_MS = 1_000;

/** QEMU on this host. Every machine is one process of its own, in a jail of its own as far as the host lets hostd make one. */
export class QemuDriver implements Driver {
  readonly platform: Platform;
  readonly #jails: Jails;
  readonly #copier = new Copier();

  constructor(platform: Platform, jails: Jails) {
    this.platform = platform;
    this.#jails = jails;
    this.#copier.start();
  }

  async start(spec: VmSpec, spare?: Spare): Promise<Vm> {
    if (spare instanceof QemuSpare) return this.#complete(spec, spare);
    try {
      await makeSocketDir(spec.socketDir);
      const confinement = await this.#jails.enter(spec, this.platform.accelerator);
      const { process, qmp } = await this.#launch(spec, confinement, qemuArgs(spec, this.platform.accelerator, randomUUID()));
      return await this.#connect(spec, process, qmp);
    } catch (error) {
      await this.vacate({ ...spec, files: [spec.diskPath] });
      throw error;
    }
  }

  async #complete(spec: VmSpec, spare: QemuSpare): Promise<Vm> {
    try {
      await spare.become(spec, (files) => this.#jails.give(spare.confinement, files));
    } catch (error) {
      const explained = await startError(messageOf(error), spare.logPath);
      await spare.discard();
      throw explained;
    }
    return this.#connect(spec, spare.process, spare.qmp);
  }

  async makeSpare(spec: SpareSpec): Promise<Spare> {
    try {
      await makeSocketDir(spec.socketDir);
      await rm(spec.dir, { recursive: true, force: true });
      // Only hostd writes in it; the process that sees it has another user.
      await mkdir(spec.dir, { mode: 0o755 });
      const confinement = await this.#jails.enterSpare(spec, this.platform.accelerator);
      const parts = await this.#launch(spec, confinement, spareArgs(spec, this.platform.accelerator, randomUUID()));
      return new QemuSpare(spec, { ...parts, confinement });
    } catch (error) {
      await this.vacate({ machineId: spec.spareId, socketDir: spec.socketDir, files: [] });
      throw error;
    }
  }

  async #connect(spec: VmSpec, process: ProcessRef, qmp: QmpClient): Promise<Vm> {
    try {
      return await connectVm({ process, sockets: socketFiles(spec.socketDir), qmp, logPath: spec.logPath, copier: this.#copier });
    } catch (error) {
      await endProcess(process, 0);
      throw await startError(messageOf(error), spec.logPath);
    }
  }

  /** Starts QEMU with these arguments and waits until it answers. */
  async #launch(spec: Pick<VmSpec, 'socketDir' | 'logPath'>, confinement: Confinement, args: string[]) {
    const sockets = socketFiles(spec.socketDir);
    const argv = confine(confinement.jail?.tree.qemu ?? QEMU, args, confinement);
    // In the order of INHERITED.
    const listening = await Promise.all([sockets.qmp, sockets.agent, sockets.ssh].map(listenForHeir));
    const inbox = await open(sockets.inbox, 'r');
    const inherited = [...listening.map(({ fd }) => fd), inbox.fd];
    const launch = { argv, reportsPid: confinement.jail !== null, inherited, logPath: spec.logPath };
    const { process, earlyExit } = await spawnDetached(launch).finally(async () => {
      for (const socket of listening) socket.letGo();
      await inbox.close();
    });
    try {
      return { process, qmp: await connectOrExplain(sockets.qmp, earlyExit) };
    } catch (error) {
      await endProcess(process, 0);
      throw await startError(messageOf(error), spec.logPath);
    }
  }

  async adopt(ref: VmRef): Promise<Vm | null> {
    if (!(await isAlive(ref.process))) return null;
    const sockets = socketFiles(ref.socketDir);
    try {
      const qmp = await QmpClient.connect(sockets.qmp, ADOPT_DEADLINE_MS);
      return await connectVm({ process: ref.process, sockets, qmp, logPath: ref.logPath, copier: this.#copier });
    } catch (cause) {
      if (!(await isAlive(ref.process))) return null;
      throw new HostdError('internal', {
        message: `QEMU ${ref.process.pid} of ${ref.machineId} lives and does not answer`,
        phase: 'qemu.adopt',
        cause,
      });
    }
  }

  isAlive(process: ProcessRef): Promise<boolean> {
    return isAlive(process);
  }

  cpuMs(process: ProcessRef): Promise<number> {
    return cpuMsOf(process);
  }

  /** Until there is none: a process that was about to start another one may have done so before it ended. */
  async killUnrecorded(socketDir: string): Promise<void> {
    for (;;) {
      const found = await findByArgument(nameOf(socketDir));
      if (found.length === 0) return;
      for (const process of found) await endProcess(process, 0);
    }
  }

  vacate(place: VmPlace): Promise<void> {
    return this.#jails.leave(place);
  }
}

async function makeSocketDir(dir: string): Promise<void> {
  const { inbox, outbox } = socketFiles(dir);
  await rm(dir, { recursive: true, force: true });
  await makePrivateDir(dir);
  for (const box of [inbox, outbox]) await (await open(box, 'wx', 0o600)).close();
}

/** The socket listens before QEMU runs, so the greeting is what there is to wait for. */
async function connectOrExplain(socketPath: string, earlyExit: Promise<string>): Promise<QmpClient> {
  try {
    return await QmpClient.connect(socketPath, START_DEADLINE_MS);
  } catch (error) {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<null>((resolve) => {
      timer = setTimeout(resolve, OBITUARY_MS, null);
    });
    const how = await Promise.race([earlyExit, late]).finally(() => clearTimeout(timer));
    throw how === null ? error : new Error(`it ended with ${how}`);
  }
}
