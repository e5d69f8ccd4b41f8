import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { HostdError } from '../../errors.ts';
import { isErrno, makePrivateDir } from '../../storage/files.ts';
import { type SocketFiles, socketFiles } from '../../storage/layout.ts';
import type { Driver, Platform, ProcessRef, Vm, VmRef, VmSpec } from '../driver.ts';
import { qemuArgs } from './args.ts';
import { QEMU } from './platform.ts';
import { cpuMsOf, endProcess, findByArgument, isAlive, spawnDetached, startError } from './process.ts';
import { QmpClient } from './qmp.ts';
import { connectVm } from './vm.ts';

const START_DEADLINE_MS = 30_000;
const CONNECT_AGAIN_MS = 5;
const ADOPT_DEADLINE_MS = 5_000;

/** QEMU on this host. Every machine is one process of its own. */
export class QemuDriver implements Driver {
  readonly platform: Platform;

  constructor(platform: Platform) {
    this.platform = platform;
  }

  async start(spec: VmSpec): Promise<Vm> {
    const sockets = socketFiles(spec.socketDir);
    await rm(spec.socketDir, { recursive: true, force: true });
    await makePrivateDir(spec.socketDir);
    const args = qemuArgs(spec, sockets, this.platform.accelerator, randomUUID());
    const { process, earlyExit } = await spawnDetached(QEMU, args, spec.logPath);
    const ended = { how: null as string | null };
    void earlyExit.then((how) => {
      ended.how = how;
    });
    try {
      const qmp = await connectWhenUp(sockets, () => ended.how);
      return await connectVm({ process, sockets, qmp, logPath: spec.logPath });
    } catch (error) {
      await endProcess(process, 0);
      throw await startError(error instanceof Error ? error.message : String(error), spec.logPath);
    }
  }

  async adopt(ref: VmRef): Promise<Vm | null> {
    if (!(await isAlive(ref.process))) return null;
    const sockets = socketFiles(ref.socketDir);
    try {
      const qmp = await QmpClient.connect(sockets.qmp, ADOPT_DEADLINE_MS);
      return await connectVm({ process: ref.process, sockets, qmp, logPath: ref.logPath });
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

  async killUnrecorded(socketDir: string): Promise<void> {
    for (const process of await findByArgument(socketFiles(socketDir).qmp)) await endProcess(process, 0);
  }
}

/** QEMU makes its control socket when it is set up; until then there is nothing to wait on. */
async function connectWhenUp(sockets: SocketFiles, endedHow: () => string | null): Promise<QmpClient> {
  const deadline = performance.now() + START_DEADLINE_MS;
  for (;;) {
    try {
      return await QmpClient.connect(sockets.qmp, START_DEADLINE_MS);
    } catch (error) {
      const how = endedHow();
      if (how !== null) throw new Error(`it ended with ${how}`);
      if (!isErrno(error, 'ENOENT') && !isErrno(error, 'ECONNREFUSED')) throw error;
      if (performance.now() > deadline) throw new Error(`no control socket within ${START_DEADLINE_MS} ms`);
    }
    await new Promise((resolve) => setTimeout(resolve, CONNECT_AGAIN_MS));
  }
}
