import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, symlink } from 'node:fs/promises';
import path from 'node:path';
import readline from 'node:readline';
import type { Accelerator } from '../hostd/contract/machines.ts';
import { isErrno } from '../hostd/storage/files.ts';
import { HOSTD_NODE_OPTIONS, leanNode } from '../scripts/settings.ts';
import { createHostClient, type HostClient } from '../server/hosts/host-client.ts';
import type { RunInGuest } from './guest/verifier.ts';

const MAIN = path.resolve(import.meta.dirname, '..', 'hostd', 'main.ts');
const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
export const NO_EGRESS = { services: [], allow: [] };

export type HostdOptions = {
  /** Its own; made when it is not there. */
  dataDir: string;
  /** Images are shared with the data directory they were built in. */
  imagesDir: string;
  accelerator: Accelerator;
  logPath: string;
  /** Where copies of its snapshots go. */
  objectStore: string;
};

/** The real hostd in a process of its own, spoken to with the control plane's own client. */
export class Hostd {
  readonly client: HostClient;
  readonly pid: number;
  readonly dataDir: string;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, client: HostClient, dataDir: string) {
    this.#child = child;
    this.pid = child.pid!;
    this.client = client;
    this.dataDir = dataDir;
  }

  /** Starts it and removes machines that an interrupted run left. */
  static async start({ dataDir, imagesDir, accelerator, logPath, objectStore }: HostdOptions): Promise<Hostd> {
    await mkdir(dataDir, { recursive: true, mode: 0o700 });
    await symlink(imagesDir, path.join(dataDir, 'images')).catch((error) => {
      if (!isErrno(error, 'EEXIST')) throw error;
    });
    const token = randomBytes(24).toString('base64url');
    // Dies with us, however we end, and does not hear our Ctrl-C; machines do not, which is hostd's promise, and the next start
    // removes them.
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', process.execPath, ...HOSTD_NODE_OPTIONS, MAIN], {
      env: {
        ...{ PATH: SYSTEM_PATH, NODE_ENV: 'production', HOSTD_DATA_DIR: dataDir, HOSTD_PORT: '0', HOSTD_TOKEN: token },
        ...leanNode(dataDir),
        // Few, as an operator would have; a burst outruns them.
        ...{ HOSTD_ACCELERATOR: accelerator, HOSTD_SPARES: '2' },
        HOSTD_OBJECT_STORE: objectStore,
      },
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const port = await portOf(child, logPath);
    const hostd = new Hostd(child, createHostClient({ url: `http://127.0.0.1:${port}`, token }), dataDir);
    await hostd.removeMachines();
    return hostd;
  }

  /** Runs as root in a machine. Like the peers' guests it is asked through the guest agent while SSH is not there. */
  guest(machineId: string): RunInGuest {
    return async (argv, options) => {
      const done = await this.client.exec(machineId, { argv, user: 'root', network: false, ...options });
      if (done.exitCode === 0) return done.stdout;
      const how = done.timedOut ? 'ran out of time' : `ended with ${done.exitCode ?? done.signal}`;
      throw new Error(`${argv.join(' ')} ${how} in the guest: ${done.stderr.slice(-2000)}`);
    };
  }

  async removeMachines(): Promise<void> {
    for (const { machineId, lease } of await this.client.machines()) await this.client.remove(machineId, lease);
  }

  /** Removes its machines; its snapshots stay for the next run. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    await this.removeMachines();
    const gone = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGTERM');
    await gone;
  }
}

function portOf(child: ChildProcess, logPath: string): Promise<number> {
  const log = createWriteStream(logPath, { flags: 'a' });
  const tail: string[] = [];
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`hostd ended with ${code}: ${tail.join('\n')}`)));
    const take = (line: string) => {
      log.write(`${line}\n`);
      tail.push(line);
      if (tail.length > 10) tail.shift();
      if (!line.includes('hostd.listening')) return;
      resolve((JSON.parse(line) as { address: { port: number } }).address.port);
    };
    for (const stream of [child.stdout!, child.stderr!]) readline.createInterface({ input: stream }).on('line', take);
  });
}
