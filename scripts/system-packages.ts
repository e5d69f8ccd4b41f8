import { access, constants } from 'node:fs/promises';
import path from 'node:path';
import { runLogged, type StageContext, StageError } from './stage.ts';

/** A program (or a file, by its whole path) that is needed from Debian: looked for on PATH, brought in by its package. */
export type Need = { program: string; package: string; why: string };

const RUNTIME: readonly Need[] = [
  { program: 'qemu-system-x86_64', package: 'qemu-system-x86', why: 'runs the machines' },
  { program: 'mmdebstrap', package: 'mmdebstrap', why: 'builds the guest image' },
  { program: 'mke2fs', package: 'e2fsprogs', why: 'turns the image into a disk' },
  { program: 'mkfs.xfs', package: 'xfsprogs', why: 'constant-time copies of disks and memory' },
  { program: 'setpriv', package: 'util-linux', why: 'takes privileges from QEMU' },
  { program: 'bwrap', package: 'bubblewrap', why: 'gives every QEMU a root directory and namespaces of its own' },
  { program: 'git', package: 'git', why: 'the built-in forge' },
];

const TESTS: readonly Need[] = [
  { program: 'chromium', package: 'chromium', why: 'browser tests' },
  { program: 'tmux', package: 'tmux', why: 'terminal tests' },
  { program: 'cc', package: 'gcc', why: "the bench's verifier in the guest" },
  { program: 'qemu-img', package: 'qemu-utils', why: "the disk of the bench's peer" },
  { program: 'sshd', package: 'openssh-server', why: 'tests of the channel into a machine (never started as a service)' },
];

const SEARCH = [...(process.env.PATH ?? '').split(path.delimiter), '/usr/sbin', '/sbin'];

async function isInstalled(program: string): Promise<boolean> {
  const isFile = program.startsWith('/');
  const found = await Promise.all(
    (isFile ? [program] : SEARCH.map((dir) => path.join(dir, program))).map((file) =>
      access(file, isFile ? constants.F_OK : constants.X_OK).then(
        () => true,
        () => false,
      ),
    ),
  );
  return found.includes(true);
}

/** Those whose program is not on this computer. */
async function missingOf(needs: readonly Need[]): Promise<Need[]> {
  const installed = await Promise.all(needs.map((need) => isInstalled(need.program)));
  return needs.filter((_, index) => !installed[index]);
}

function asRoot(argv: [string, ...string[]]): [string, ...string[]] {
  return process.getuid?.() === 0 ? argv : ['sudo', ...argv];
}

export function installCommand(missing: readonly Need[]): [string, ...string[]] {
  const names = missing.map((need) => need.package);
  return asRoot(['env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', 'install', '-y', '--no-install-recommends', ...names]);
}

/** Installs what is missing with apt; with `noInstall` only says what to run. */
export function ensureSystemPackages(
  { forTests, ...options }: InstallOptions & { forTests: boolean },
  ctx: StageContext,
): Promise<string> {
  return ensurePackages(forTests ? [...RUNTIME, ...TESTS] : RUNTIME, options, ctx);
}

export type InstallOptions = { noInstall: boolean; root: string; logsDir: string };

/** The same for any list. */
export async function ensurePackages(needs: readonly Need[], options: InstallOptions, ctx: StageContext): Promise<string> {
  const missing = await missingOf(needs);
  if (missing.length === 0) return 'all there';
  const command = installCommand(missing);
  const list = missing.map((need) => `${need.package} (${need.why})`).join(', ');
  if (options.noInstall) {
    throw new StageError(`Missing system packages: ${list}`, { nextStep: `run: ${command.join(' ')}` });
  }
  if (!(await isInstalled('apt-get'))) {
    throw new StageError(`Missing programs: ${missing.map((need) => need.program).join(', ')}; this system has no apt-get`, {
      nextStep: 'install them with your own package manager, then run the same command again',
    });
  }
  const logPath = path.join(options.logsDir, 'apt.log');
  const nextStep = `run it by hand to see why: ${command.join(' ')}`;
  await runLogged({ argv: asRoot(['apt-get', 'update']), cwd: options.root, logPath, nextStep }, ctx);
  await runLogged({ argv: command, cwd: options.root, logPath, nextStep }, ctx);
  return missing.map((need) => need.package).join(' ');
}
