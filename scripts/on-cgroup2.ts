import { execFile, spawn } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import readline from 'node:readline';
import { promisify } from 'node:util';
import { loadHostEnv } from '../hostd/env.ts';
import { quoteArg, quoteArgv } from '../hostd/guest/quote.ts';
import { putToSleep } from '../hostd/machines/testing/asleep.ts';
import { openHost } from '../hostd/open-host.ts';
import { ROOT } from './settings.ts';

/*
 * Runs a command, as root, on a computer whose cgroup v2 hierarchy has every controller, for hosts that have none: an emulated
 * one with the kernel of the guest image, over the files of this one. What the command writes is gone with it, apart from what it
 * prints. hostd's data directory there is a disk of its own with a copy of the image and a guest that was booted and put to sleep
 * here: its machines are emulated by what is emulated itself, so everything takes minutes and a boot would take an hour. It is in
 * Debian: qemu-system-x86 xfsprogs e2fsprogs cpio.
 *
 *     npx node scripts/on-cgroup2.ts npx vitest run --project vm hostd/jail/*cgroup.vm.test.ts
 */
const run = promisify(execFile);
const MEMORY_GIB = 6;
const DISK_GIB = 16;
const MODULES = ['virtio_pci', 'virtio_blk', 'virtio_rng', '9pnet_virtio', '9p', 'overlay', 'crc32c_generic', 'xfs'];
const ENDED = 'warren-ended';

/** Reaches the command over this computer's files, with what it changes in memory. */
const INIT = `#!/bin/busybox sh
B=/bin/busybox
$B mount -t proc proc /proc; $B mount -t sysfs sys /sys; $B mount -t devtmpfs dev /dev
for name in ${MODULES.join(' ')}; do $B modprobe $name; done
$B mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=loose,ro rootfs /low
$B mount -t tmpfs rw /rw; $B mkdir /rw/up /rw/work
$B mount -t overlay -o lowerdir=/low,upperdir=/rw/up,workdir=/rw/work overlay /new
$B cp /job /new/run-on-cgroup2
for dir in proc sys dev; do $B mount --move /$dir /new/$dir; done
exec $B switch_root /new /bin/bash /run-on-cgroup2
`;

/** What the computer does once it is up; its exit code is the last line. */
const job = (argv: string[], env: Record<string, string>) => `
mkdir -p /dev/shm /dev/pts
mount -t tmpfs -o mode=1777 shm /dev/shm; mount -t devpts pts /dev/pts
for dir in /run /tmp ${quoteArg(env.HOSTD_DATA_DIR!)}; do mkdir -p "$dir"; done
mount -t tmpfs run /run; mount -t tmpfs -o mode=1777 tmp /tmp
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t xfs /dev/vda ${quoteArg(env.HOSTD_DATA_DIR!)}
ip link set lo up
cd ${quoteArg(ROOT)}
${Object.entries(env)
  .map(([name, value]) => `export ${name}=${quoteArg(value)}`)
  .join('\n')}
${quoteArgv(argv)} 2>&1
printf '\\n%s %s\\n' ${ENDED} $?
sync
echo o >/proc/sysrq-trigger
while :; do :; done
`;

/** The kernel's modules that are needed, and what those need, as the image's `modules.dep` says. */
function withDependencies(names: readonly string[], dep: string): Map<string, string[]> {
  const needs = new Map<string, string[]>();
  for (const line of dep.split('\n').filter(Boolean)) {
    const [file, rest] = line.split(':') as [string, string];
    needs.set(file, rest.trim().split(' ').filter(Boolean));
  }
  const wanted = new Map<string, string[]>();
  const want = (file: string): void => {
    if (wanted.has(file)) return;
    wanted.set(file, needs.get(file)!);
    for (const one of needs.get(file)!) want(one);
  };
  for (const name of names) {
    const file = [...needs.keys()].find((one) => path.basename(one, '.ko').replaceAll('-', '_') === name);
    if (!file) throw new Error(`the image's kernel has no module ${name}`);
    want(file);
  }
  return wanted;
}

/** @param disk the guest image's; its kernel's modules and its busybox are taken from there */
async function makeInitrd(dir: string, disk: string, script: string): Promise<string> {
  const tree = path.join(dir, 'tree');
  const debugfs = async (request: string) => (await run('debugfs', ['-R', request, disk])).stdout;
  const take = async (file: string, to: string) => {
    await mkdir(path.dirname(to), { recursive: true });
    await debugfs(`dump ${file} ${to}`);
  };
  const kernel = /\d+\.[^/ ]+-amd64/.exec(await debugfs('ls -p /lib/modules'))![0];
  const modules = `/lib/modules/${kernel}`;
  for (const name of ['proc', 'sys', 'dev', 'low', 'rw', 'new']) await mkdir(path.join(tree, name), { recursive: true });
  await take('/bin/busybox', path.join(tree, 'bin/busybox'));
  await take(`${modules}/modules.dep`, path.join(dir, 'modules.dep'));
  const wanted = withDependencies(MODULES, await readFile(path.join(dir, 'modules.dep'), 'utf8'));
  for (const file of wanted.keys()) await take(`${modules}/${file}`, path.join(tree, modules, file));
  const dep = [...wanted].map(([file, needs]) => `${file}: ${needs.join(' ')}\n`).join('');
  await writeFile(path.join(tree, modules, 'modules.dep'), dep);
  await writeFile(path.join(tree, 'job'), script);
  await writeFile(path.join(tree, 'init'), INIT);
  for (const file of ['init', 'bin/busybox']) await chmod(path.join(tree, file), 0o755);
  const initrd = path.join(dir, 'initrd');
  await run('sh', ['-c', 'cd "$0" && find . | cpio --quiet -R 0:0 -o -H newc >"$1"', tree, initrd]);
  return initrd;
}

/** An XFS with a copy of the image on it and a guest that sleeps, laid out as hostd's data directory. */
async function makeDisk(dir: string, imageDir: string): Promise<string> {
  const [disk, mount] = [path.join(dir, 'disk'), path.join(dir, 'mount')];
  await run('truncate', ['--size', `${DISK_GIB}G`, disk]);
  await run('mkfs.xfs', ['-q', '-m', 'reflink=1', disk]);
  await mkdir(mount);
  await run('mount', ['-o', 'loop', disk, mount]);
  try {
    await mkdir(path.join(mount, 'images'), { mode: 0o700 });
    await run('cp', ['--recursive', '--sparse=always', imageDir, path.join(mount, 'images')]);
    await putToSleep(mount);
  } finally {
    await run('umount', [mount]);
  }
  return disk;
}

/** @returns the command's exit code; 1 when the computer ended without it */
async function runOnCgroup2(argv: string[], dir: string): Promise<number> {
  const { layout, imageIds } = await openHost(loadHostEnv());
  const image = layout.image(imageIds.base);
  const env = {
    // A serial line is a terminal, but not one to draw on.
    ...{ PATH: process.env.PATH!, HOME: os.homedir(), TERM: 'dumb', NO_COLOR: '1', CI: '1' },
    ...{ HOSTD_DATA_DIR: layout.dataDir, HOSTD_ACCELERATOR: 'tcg' },
  };
  const initrd = await makeInitrd(dir, image.disk, job(argv, env));
  const disk = await makeDisk(dir, image.dir);
  const args = [
    ...['-accel', 'tcg,thread=multi,tb-size=512', '-M', 'q35', '-cpu', 'max', '-smp', String(os.availableParallelism())],
    ...['-m', `${MEMORY_GIB}G`, '-nodefaults', '-display', 'none', '-no-reboot', '-serial', 'stdio'],
    ...['-kernel', image.kernel, '-initrd', initrd, '-append', 'console=ttyS0 loglevel=1 panic=-1 cgroup_no_v1=all'],
    ...['-fsdev', 'local,id=root,path=/,security_model=none,readonly=on,multidevs=remap'],
    ...['-device', 'virtio-9p-pci,fsdev=root,mount_tag=rootfs', '-device', 'virtio-rng-pci'],
    ...['-drive', `file=${disk},format=raw,if=none,id=disk,cache=unsafe`, '-device', 'virtio-blk-pci,drive=disk'],
  ];
  const computer = spawn('qemu-system-x86_64', args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let exitCode: number | null = null;
  for await (const line of readline.createInterface({ input: computer.stdout })) {
    const ended = new RegExp(`^${ENDED} (\\d+)`).exec(line);
    if (ended) exitCode = Number(ended[1]);
    // What it says as it goes off is of no use.
    else if (exitCode === null) console.log(line);
  }
  return exitCode ?? 1;
}

const dir = await mkdtemp(path.join(os.tmpdir(), 'warren-on-cgroup2-'));
try {
  process.exitCode = await runOnCgroup2(process.argv.slice(2), dir);
} finally {
  await rm(dir, { recursive: true });
}
