import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import readline from 'node:readline';
import { promisify } from 'node:util';
import { WebSocket } from 'ws';
import type { Accelerator, Exec, ExecResult, MachineView } from '../../contract/machines.ts';
import type { Fault } from '../../fault/fault-point.ts';
import { layoutOf } from '../../storage/layout.ts';
import { openTestHost } from './vm-host.ts';

const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const TOKEN = 'a-token-for-tests-only';
const MAIN = path.resolve(import.meta.dirname, '..', '..', 'main.ts');

export type Reply = { ok: true; value: unknown } | { ok: false; error: { code: string; message: string } };

/** The real hostd as a process of its own, over a data directory of its own, to be killed and started again. */
export class HostdProcess {
  readonly dataDir: string;
  readonly token = TOKEN;
  readonly accelerator: Accelerator;
  readonly #env: Record<string, string>;
  /** Everything this hostd and its predecessors wrote, oldest first. */
  readonly log: string[] = [];
  #child: ChildProcess | null = null;
  #url = '';
  #exited: Promise<'exited'> = Promise.resolve('exited');
  #held: Promise<'held'> = new Promise(() => {});

  private constructor(dataDir: string, accelerator: Accelerator, env: Record<string, string>) {
    this.dataDir = dataDir;
    this.accelerator = accelerator;
    this.#env = env;
  }

  /**
   * Shares the image of this host's data directory and is on its file system.
   *
   * @param env more of hostd's settings
   */
  static async make(env: Record<string, string> = {}): Promise<HostdProcess> {
    const { layout, driver } = await openTestHost();
    const dataDir = await mkdtemp(path.join(layout.dataDir, 'test-'));
    await symlink(layout.images, path.join(dataDir, 'images'));
    return new HostdProcess(dataDir, driver.platform.accelerator, env);
  }

  /** Over a directory that is there and stays, with the image in it. */
  static async over(dataDir: string, env: Record<string, string> = {}): Promise<HostdProcess> {
    const { driver } = await openTestHost();
    return new HostdProcess(dataDir, driver.platform.accelerator, env);
  }

  /** With a copy of the image, in a directory of another file system. */
  static async makeIn(parent: string): Promise<HostdProcess> {
    const { layout, imageIds } = await openTestHost();
    const dataDir = await mkdtemp(path.join(parent, 'hostd-'));
    await mkdir(layoutOf(dataDir).images, { mode: 0o700 });
    const [from, to] = [layout.image(imageIds.base).dir, layoutOf(dataDir).image(imageIds.base).dir];
    await promisify(execFile)('cp', ['--recursive', '--sparse=always', from, to]);
    return HostdProcess.over(dataDir);
  }

  /** Keeps what it wrote for people to read after something went wrong. @returns the file, which stays */
  async keepLog(): Promise<string> {
    const file = path.join(os.tmpdir(), `warren-${path.basename(this.dataDir)}-${Date.now()}.log`);
    await writeFile(file, this.log.join('\n'), { mode: 0o600 });
    return file;
  }

  get layout() {
    return layoutOf(this.dataDir);
  }

  /** Base of every route, `http://127.0.0.1:port/v1`. */
  get url(): string {
    return this.#url;
  }

  /** Null while it does not run. */
  get pid(): number | null {
    return this.#child?.exitCode === null ? (this.#child.pid ?? null) : null;
  }

  /** @param fault strikes this run of hostd there; see hostd/fault/fault-point.ts */
  async start(fault?: Fault): Promise<void> {
    const env = {
      PATH: SYSTEM_PATH,
      NODE_ENV: 'test' as const,
      HOSTD_DATA_DIR: this.dataDir,
      HOSTD_PORT: '0',
      HOSTD_TOKEN: TOKEN,
      HOSTD_ACCELERATOR: this.accelerator,
      HOSTD_FAULT: fault ? `${fault.point}=${fault.action}` : '',
      ...this.#env,
    };
    // Ctrl-C is ours to hear, not its: whoever started it removes its machines first. It still dies with us, however we end.
    const argv = ['--pdeathsig', 'KILL', process.execPath, MAIN];
    const child = spawn('setpriv', argv, { env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    this.#exited = new Promise((resolve) => child.once('exit', () => resolve('exited')));
    const held = Promise.withResolvers<'held'>();
    this.#held = held.promise;
    child.stderr.on('data', (chunk) => this.log.push(String(chunk).trimEnd()));
    const port = await new Promise<number>((resolve, reject) => {
      child.once('exit', () => reject(new Error(`hostd ended: ${this.log.slice(-20).join('\n')}`)));
      readline.createInterface({ input: child.stdout }).on('line', (line) => {
        this.log.push(line);
        const { event, address } = JSON.parse(line) as { event?: string; address?: { port: number } };
        if (event === 'hostd.listening' && address) resolve(address.port);
        if (event === 'fault.held') held.resolve('held');
      });
    });
    this.#url = `http://127.0.0.1:${port}/v1`;
  }

  get port(): number {
    return Number(new URL(this.#url).port);
  }

  /** What the armed fault did: hostd is gone, or stands still until `release`. */
  struck(): Promise<'exited' | 'held'> {
    return Promise.race([this.#exited, this.#held]);
  }

  release(): void {
    this.#child?.kill('SIGUSR2');
  }

  /** As a power cut would end it; its machines run on, and so do its spares. */
  kill(): Promise<void> {
    return this.#end('SIGKILL');
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await gone;
  }

  async send(method: string, target: string, body?: unknown, signal?: AbortSignal): Promise<Reply> {
    const reply = await fetch(`${this.#url}/${target}`, {
      method,
      ...(signal ? { signal } : {}),
      headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (reply.headers.get('content-type') !== 'application/json') return { ok: true, value: await reply.text() };
    return (await reply.json()) as Reply;
  }

  /** A websocket of the contract; its events are the caller's. */
  webSocket(target: string): WebSocket {
    return new WebSocket(`${this.#url.replace(/^http/, 'ws')}/${target}`, { headers: { authorization: `Bearer ${TOKEN}` } });
  }

  /** @throws the refusal as text */
  async call<T>(method: string, target: string, body?: unknown, signal?: AbortSignal): Promise<T> {
    const reply = await this.send(method, target, body, signal);
    if (!reply.ok) throw new Error(`${method} ${target}: ${reply.error.code}: ${reply.error.message}`);
    return reply.value as T;
  }

  /** Standard output of a shell command in the guest. */
  async shell(machineId: string, script: string, user: Exec['user'] = 'root'): Promise<string> {
    const { stdout } = await this.call<ExecResult>('POST', `machines/${machineId}/exec`, { argv: ['sh', '-c', script], user });
    return stdout.trim();
  }

  /** Removes its machines, its files and itself. */
  async destroy(): Promise<void> {
    if (!this.#child) await this.start();
    for (const { machineId, lease } of await this.call<MachineView[]>('GET', 'machines')) {
      await this.call('DELETE', `machines/${machineId}?lease=${lease}`);
    }
    await this.#end('SIGTERM');
    const { runDir } = this.layout;
    await rm(path.join(this.dataDir, 'images'), { recursive: true, force: true });
    for (const dir of [this.dataDir, runDir]) await rm(dir, { recursive: true, force: true, maxRetries: 5 });
  }
}
