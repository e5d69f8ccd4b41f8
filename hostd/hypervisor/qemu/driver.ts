import { randomUUID } from 'node:crypto';
import { open, rm } from 'node:fs/promises';
import { HostdError, messageOf } from '../../errors.ts';
import { confine } from '../../jail/argv.ts';
import type { Jails } from '../../jail/jails.ts';
import { makePrivateDir } from '../../storage/files.ts';
import { type SocketFiles, socketFiles } from '../../storage/layout.ts';
import type { Driver, Platform, ProcessRef, Vm, VmPlace, VmRef, VmSpec } from '../driver.ts';
import { nameOf, qemuArgs } from './args.ts';
import { listenForHeir } from './listen.ts';
import { Copier } from './memory/copier.ts';
import { QEMU } from './platform.ts';
import { cpuMsOf, endProcess, findByArgument, isAlive, spawnDetached, startError } from './process.ts';
import { QmpClient } from './qmp.ts';
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

  async start(spec: VmSpec): Promise<Vm> {
    const sockets = socketFiles(spec.socketDir);
    await rm(spec.socketDir, { recursive: true, force: true });
    await makePrivateDir(spec.socketDir);
    for (const box of [sockets.inbox, sockets.outbox]) await (await open(box, 'wx', 0o600)).close();
    try {
      const { process, earlyExit } = await this.#spawn(spec, sockets);
      try {
        const qmp = await connectOrExplain(sockets.qmp, earlyExit);
        return await connectVm({ process, sockets, qmp, logPath: spec.logPath, copier: this.#copier });
      } catch (error) {
        await endProcess(process, 0);
        throw await startError(messageOf(error), spec.logPath);
      }
    } catch (error) {
      await this.vacate({ ...spec, files: [spec.diskPath] });
      throw error;
    }
  }

  async #spawn(spec: VmSpec, sockets: SocketFiles) {
    const { accelerator } = this.platform;
    const confinement = await this.#jails.enter(spec, accelerator);
    const program = confinement.jail?.tree.qemu ?? QEMU;
    const argv = confine(program, qemuArgs(spec, accelerator, randomUUID()), confinement);
    // In the order of INHERITED.
    const listening = await Promise.all([sockets.qmp, sockets.agent, sockets.ssh].map(listenForHeir));
    const inbox = await open(sockets.inbox, 'r');
    try {
      const inherited = [...listening.map(({ fd }) => fd), inbox.fd];
      return await spawnDetached({ argv, reportsPid: confinement.jail !== null, inherited, logPath: spec.logPath });
    } finally {
      for (const socket of listening) socket.letGo();
      await inbox.close();
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
