import { rm } from 'node:fs/promises';
import { z } from 'zod';
import { HostdError } from '../../errors.ts';
import { asDiskError, syncPath } from '../../storage/files.ts';
import type { SocketFiles } from '../../storage/layout.ts';
import { waitForAll } from '../../wait-for-all.ts';
import type { Exit, ProcessRef, RunState, Saved, SaveTo, Vm } from '../driver.ts';
import { INBOX_URI } from './args.ts';
import { fillInbox, type SavedState, takeFromOutbox } from './device-state.ts';
import { QemuGuestAgent } from './guest-agent.ts';
import type { Copied } from './memory/changed-memory.ts';
import type { Copier } from './memory/copier.ts';
import { PAGE_BYTES } from './memory/pagemap.ts';
import { endProcess, isAlive, tailOf, waitGone } from './process.ts';
import type { QmpClient } from './qmp.ts';

const MIGRATION_DEADLINE_MS = 60_000;
const MIGRATION_POLL_MS = 2;
const QUIT_DEADLINE_MS = 5_000;
const CONSOLE_READ_BYTES = 256 * 1024;
const statusSchema = z.object({ status: z.string() });
const migrationSchema = z.object({ status: z.string().optional(), 'error-desc': z.string().optional() });

type Parts = { process: ProcessRef; sockets: SocketFiles; qmp: QmpClient; logPath: string; copier: Copier };

/** Takes the guest agent's port too, so that the agent never sees it disconnected. */
export async function connectVm(parts: Parts): Promise<Vm> {
  return new QemuVm(parts, await QemuGuestAgent.connect(parts.sockets.agent));
}

class QemuVm implements Vm {
  readonly process: ProcessRef;
  readonly sshSocketPath: string;
  readonly agent: QemuGuestAgent;
  readonly exited: Promise<Exit>;
  readonly #parts: Parts;
  readonly #qmp: QmpClient;
  #released = false;
  #stalled = false;

  constructor(parts: Parts, agent: QemuGuestAgent) {
    this.#parts = parts;
    this.#qmp = parts.qmp;
    this.agent = agent;
    this.process = parts.process;
    this.sshSocketPath = parts.sockets.ssh;
    this.exited = this.#watch();
  }

  async #watch(): Promise<Exit> {
    const halted = new Promise<'halted'>((resolve) => {
      this.#qmp.onEvent = (name, data) => {
        if (name === 'SHUTDOWN' && data.guest === true) resolve('halted');
        // QEMU stops the guest for this alone; any other error of the disk is the guest's to see (werror=enospc).
        if (name === 'BLOCK_IO_ERROR' && data.nospace === true) this.#stalled = true;
      };
    });
    const first = await Promise.race([halted, this.#qmp.closed]);
    if (first === 'halted') return { reason: 'the guest powered off, restarted or panicked' };
    if (this.#released) return new Promise(() => {});
    await waitGone(this.process, QUIT_DEADLINE_MS);
    const tail = await tailOf(this.#parts.logPath);
    return { reason: tail === '' ? 'QEMU ended without a word' : `QEMU ended: ${tail}` };
  }

  async runState(): Promise<RunState> {
    if (!(await isAlive(this.process))) return 'ended';
    const { status } = statusSchema.parse(await this.#qmp.execute('query-status'));
    if (status === 'running') return 'running';
    if (status === 'inmigrate') return 'empty';
    if (['shutdown', 'guest-panicked', 'internal-error'].includes(status)) return 'ended';
    return 'paused';
  }

  get isStalled(): boolean {
    return this.#stalled;
  }

  async load({ path, sha256 }: { path: string; sha256: string }): Promise<void> {
    if ((await this.runState()) !== 'empty') {
      throw new HostdError('conflict', { message: 'this machine already holds a state', phase: 'qemu.load' });
    }
    await fillInbox(this.#parts.sockets.inbox, path, sha256);
    try {
      await this.#qmp.execute('migrate-incoming', { uri: INBOX_URI });
      await this.#awaitMigration();
    } catch (cause) {
      const tail = await tailOf(this.#parts.logPath);
      throw new HostdError('incompatible', { message: 'QEMU refuses the saved device state', phase: 'qemu.load', tail, cause });
    }
  }

  async run(): Promise<void> {
    if ((await this.runState()) === 'empty') {
      throw new HostdError('conflict', { message: 'this machine holds no state yet', phase: 'qemu.run' });
    }
    this.#stalled = false;
    await this.#qmp.execute('cont');
  }

  async save(to: SaveTo): Promise<Saved> {
    await this.#qmp.execute('stop');
    try {
      const [devices, copied] = await waitForAll([
        this.#saveDevices(to.deviceState),
        this.#parts.copier.copy({ pid: this.process.pid, base: to.memoryPath, to: to.memory }),
      ]);
      return await this.#saved(to, devices, copied);
    } catch (error) {
      await this.#undoSave(to);
      throw asDiskError(error, 'qemu.save');
    }
  }

  async checkpoint(to: SaveTo, whileStopped: () => Promise<void>): Promise<Saved & { stoppedMs: number }> {
    const memory = await this.#parts.copier.open({ pid: this.process.pid, base: to.memoryPath, to: to.memory });
    try {
      const stoppedAt = performance.now();
      await this.#qmp.execute('stop');
      const [devices] = await waitForAll([this.#saveDevices(to.deviceState), memory.grab(), whileStopped()]);
      await this.#qmp.execute('cont');
      const stoppedMs = performance.now() - stoppedAt;
      return { ...(await this.#saved(to, devices, await memory.store())), stoppedMs };
    } catch (error) {
      await this.#undoSave(to);
      throw asDiskError(error, 'qemu.checkpoint');
    } finally {
      await memory.close();
    }
  }

  async #undoSave(to: SaveTo): Promise<void> {
    for (const file of [to.deviceState, to.memory]) await rm(file, { force: true });
    await this.#qmp.execute('cont');
  }

  async #saved(to: SaveTo, devices: SavedState, copied: Copied): Promise<Saved> {
    await syncPath(to.deviceState);
    // What was read from /proc was some other process's had this one ended meanwhile.
    if (!(await isAlive(this.process))) throw new HostdError('internal', { message: 'QEMU ended', phase: 'qemu.save' });
    const { changed, zero, zeroed } = copied;
    return { ...devices, changedBytes: (changed - zero) * PAGE_BYTES, zeroedBytes: zeroed * PAGE_BYTES };
  }

  /** `live: false` leaves the disk with this process: it may go on. Only for CPUs that stand still. */
  async #saveDevices(file: string): Promise<SavedState> {
    const { outbox } = this.#parts.sockets;
    await this.#qmp.execute('xen-save-devices-state', { filename: outbox, live: false });
    return takeFromOutbox(outbox, file);
  }

  async #awaitMigration(): Promise<void> {
    const deadline = performance.now() + MIGRATION_DEADLINE_MS;
    for (;;) {
      const { status, ...rest } = migrationSchema.parse(await this.#qmp.execute('query-migrate'));
      if (status === 'completed') return;
      if (status === 'failed' || status === 'cancelled') {
        throw new HostdError('internal', {
          message: `migration ${status}: ${rest['error-desc'] ?? 'no reason given'}`,
          phase: 'qemu.migrate',
        });
      }
      if (performance.now() > deadline)
        throw new HostdError('timeout', { message: `migration still ${status}`, phase: 'qemu.migrate' });
      await new Promise((resolve) => setTimeout(resolve, MIGRATION_POLL_MS));
    }
  }

  async kill(): Promise<void> {
    // QEMU flushes its disk when it is asked; it is killed when it does not listen.
    await this.#qmp.execute('quit', {}, QUIT_DEADLINE_MS).catch(() => undefined);
    if (!(await waitGone(this.process, QUIT_DEADLINE_MS))) await endProcess(this.process, 0);
    this.release();
  }

  async drainConsole(): Promise<string> {
    const reply = await this.#qmp.execute('ringbuf-read', { device: 'console', size: CONSOLE_READ_BYTES, format: 'base64' });
    return Buffer.from(z.string().parse(reply), 'base64').toString('utf8');
  }

  release(): void {
    this.#released = true;
    this.agent.close();
    this.#qmp.close();
  }
}
