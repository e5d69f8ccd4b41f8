import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { access, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import type { SshLogin } from '../ssh.ts';

const run = promisify(execFile);
const SSHD = '/usr/sbin/sshd';

/** Whether Debian's openssh-server is installed; `npm test` installs it. */
export const hasSshd = await access(SSHD).then(
  () => true,
  () => false,
);

/**
 * The guest's end of the channel on this computer: a unix socket that behaves like QEMU's port. One client at a time; behind
 * it a real `sshd -i` that systemd would start again when it exits, and whose banner waits for whoever connects.
 */
export type SshdFixture = {
  socketPath: string;
  login: SshLogin;
  dir: string;
  /** Kills the sshd that serves now; the next one starts at once. */
  killSshd(): void;
  /** Cuts the client off as QEMU does when it goes away, and keeps listening. */
  cut(): void;
  /** The client leaves and sshd does not notice, as when QEMU is replaced by another that loads the same memory. */
  handOver(leave: () => void): void;
  /** How many `sshd` were started so far. */
  started(): number;
  close(): Promise<void>;
};

export async function startSshdFixture(): Promise<SshdFixture> {
  const dir = await mkdtemp(path.join(tmpdir(), 'warren-sshd-'));
  await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', path.join(dir, 'host')]);
  await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', path.join(dir, 'client')]);
  await writeFile(path.join(dir, 'authorized'), await readFile(path.join(dir, 'client.pub')), { mode: 0o600 });
  await writeFile(
    path.join(dir, 'config'),
    [
      `HostKey ${dir}/host`,
      `AuthorizedKeysFile ${dir}/authorized`,
      'StrictModes no',
      'UsePAM no',
      'PermitRootLogin yes',
      'PasswordAuthentication no',
      'LoginGraceTime 0',
      'MaxSessions 200',
      'PidFile none',
      'PrintLastLog no',
      'Subsystem sftp internal-sftp',
      // A tmux server of its own, so that tests which run at the same time do not end each other's.
      `SetEnv TMUX_TMPDIR=${dir}`,
    ].join('\n'),
  );
  // sshd wants its privilege separation directory; it belongs to root, as does the computer of a test that gets here.
  await mkdir('/run/sshd', { recursive: true }).catch(() => {});
  const socketPath = path.join(dir, 'port');
  const fixture = new Port(dir);
  await new Promise<void>((resolve) => fixture.server.listen(socketPath, resolve));
  fixture.startSshd();
  const privateKey = await readFile(path.join(dir, 'client'));
  const { username } = userInfo();
  return {
    socketPath,
    dir,
    login: { username, privateKey },
    killSshd: () => fixture.sshd?.kill('SIGKILL'),
    cut: () => fixture.client?.destroy(),
    handOver: (leave) => {
      fixture.frozen = true;
      leave();
    },
    started: () => fixture.startedCount,
    close: async () => {
      fixture.stop();
      await run('tmux', ['-S', path.join(dir, `tmux-${userInfo().uid}`, 'warren'), 'kill-server']).catch(() => {});
      await rm(dir, { recursive: true, force: true });
    },
  };
}

class Port {
  readonly server: Server;
  readonly dir: string;
  client: Socket | null = null;
  sshd: ChildProcess | null = null;
  startedCount = 0;
  frozen = false;
  #waiting: Buffer[] = [];
  #stopped = false;

  constructor(dir: string) {
    this.dir = dir;
    this.server = createServer((socket) => this.#serve(socket));
  }

  startSshd(): void {
    if (this.#stopped) return;
    this.startedCount += 1;
    const sshd = spawn(SSHD, ['-i', '-e', '-f', path.join(this.dir, 'config')], {
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    this.sshd = sshd;
    sshd.stdin.on('error', () => {});
    sshd.stdout.on('data', (chunk: Buffer) => {
      if (this.client) this.client.write(chunk);
      else this.#waiting.push(chunk);
    });
    sshd.once('exit', () => {
      if (this.sshd === sshd) this.startSshd();
    });
  }

  #serve(socket: Socket): void {
    if (this.client && !this.frozen) return void socket.destroy();
    this.frozen = false;
    this.client = socket;
    for (const chunk of this.#waiting.splice(0)) socket.write(chunk);
    socket.on('data', (chunk: Buffer) => this.sshd?.stdin?.write(chunk));
    socket.on('error', () => {});
    socket.on('close', () => {
      if (this.client === socket) this.client = null;
      if (this.frozen || this.client) return;
      // The guest's sshd reads an end of file while nobody is connected.
      this.sshd?.stdin?.end();
    });
  }

  stop(): void {
    this.#stopped = true;
    this.server.close();
    this.client?.destroy();
    const sshd = this.sshd;
    this.sshd = null;
    sshd?.kill('SIGKILL');
  }
}
