import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const UP_DEADLINE_MS = 30_000;
const POLL_MS = 50;
const COMMAND_DEADLINE_MS = 10 * 60_000;
/** Where libvirt keeps things, seen by our daemon only as directories of ours. */
const PLACES = ['/etc/libvirt', '/var/lib/libvirt', '/var/cache/libvirt', '/var/log/libvirt', '/run/libvirt'];

/**
 * A libvirtd of our own: in a mount namespace in which libvirt's directories are ours, on a socket of ours. A libvirt that is
 * installed here anyway neither sees it nor is seen by it. Needs root.
 */
export class LibvirtDaemon {
  readonly #child: ChildProcess;
  readonly #uri: string;
  readonly #dir: string;

  private constructor(child: ChildProcess, uri: string, dir: string) {
    this.#child = child;
    this.#uri = uri;
    this.#dir = dir;
  }

  /**
   * @param dir kept between runs, on the file system that hostd uses: saved machines are in it
   * @param runDir short, for sockets
   */
  static async start(dir: string, runDir: string): Promise<LibvirtDaemon> {
    for (const made of [runDir, ...PLACES.map((place) => placeIn(dir, place))])
      await mkdir(made, { recursive: true, mode: 0o700 });
    const config = path.join(dir, 'libvirtd.conf');
    await writeFile(config, [`unix_sock_dir = "${runDir}"`, 'auth_unix_rw = "none"', 'auth_unix_ro = "none"', ''].join('\n'));
    await writeFile(
      path.join(placeIn(dir, '/etc/libvirt'), 'qemu.conf'),
      // Nothing that would slow it down: no confinement, no accounting, no second process for its logs.
      ['user = "root"', 'group = "root"', 'security_driver = "none"', 'cgroup_controllers = []', 'namespaces = []']
        .concat(['stdio_handler = "file"', 'remember_owner = 0', ''])
        .join('\n'),
    );
    const mounts = PLACES.map((place) => `mkdir -p ${place}; mount --bind '${placeIn(dir, place)}' ${place}`);
    const script = `set -e; ${mounts.join('; ')}; exec libvirtd -f '${config}' -p '${path.join(runDir, 'libvirtd.pid')}'`;
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', 'unshare', '--mount', 'sh', '-c', script], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const said: string[] = [];
    child.stderr.on('data', (chunk) => said.push(String(chunk)));
    const daemon = new LibvirtDaemon(child, `qemu+unix:///system?socket=${path.join(runDir, 'libvirt-sock')}`, dir);
    const deadline = performance.now() + UP_DEADLINE_MS;
    for (;;) {
      if (await daemon.virsh('version').then(Boolean, () => false)) return daemon;
      if (child.exitCode !== null || performance.now() > deadline) {
        child.kill('SIGKILL');
        throw new Error(`libvirtd does not start: ${said.join('').slice(-2000)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  /** @throws with libvirt's words */
  async virsh(...command: string[]): Promise<string> {
    const { stdout } = await run('virsh', ['-q', '-c', this.#uri, ...command], { timeout: COMMAND_DEADLINE_MS });
    return stdout.trim();
  }

  /** QEMU's process of a domain that runs. */
  async pidOf(domain: string): Promise<number> {
    return Number(await readFile(path.join(placeIn(this.#dir, '/run/libvirt'), 'qemu', `${domain}.pid`), 'utf8'));
  }

  /** Whether the domain has a saved state. */
  async isSaved(domain: string): Promise<boolean> {
    const file = path.join(placeIn(this.#dir, '/var/lib/libvirt'), 'qemu', 'save', `${domain}.save`);
    return stat(file).then(
      () => true,
      () => false,
    );
  }

  async stop(): Promise<void> {
    const gone = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGTERM');
    await gone;
  }
}

function placeIn(dir: string, place: string): string {
  return path.join(dir, place.slice(1).replaceAll('/', '-'));
}
