import type { StageContext } from '../scripts/stage.ts';
import { ensurePackages, type Need } from '../scripts/system-packages.ts';
import type { Options } from './options.ts';

const NEEDS: readonly Need[] = [
  { program: 'qemu-img', package: 'qemu-utils', why: "the peers' disks" },
  { program: 'cc', package: 'gcc', why: 'the verifier in the guest' },
  { program: 'cc', package: 'libc6-dev', why: 'the same, linked statically' },
];
const LIBVIRT: readonly Need[] = [
  { program: 'libvirtd', package: 'libvirt-daemon', why: 'a peer' },
  { program: '/etc/libvirt/qemu.conf', package: 'libvirt-daemon-system', why: 'a peer' },
  {
    program: '/usr/lib/x86_64-linux-gnu/libvirt/connection-driver/libvirt_driver_qemu.so',
    package: 'libvirt-daemon-driver-qemu',
    why: 'a peer',
  },
  { program: 'virsh', package: 'libvirt-clients', why: 'a peer' },
];

const STORAGE: readonly Need[] = ['restic', 'borgbackup', 'casync', 'zstd'].map((name) => ({
  program: name === 'borgbackup' ? 'borg' : name,
  package: name,
  why: 'a peer in storage',
}));

/** What the bench needs beyond `npm start`. */
export function ensureBenchPackages(
  options: Pick<Options, 'noInstall' | 'peers' | 'figures'>,
  where: { root: string; logsDir: string },
  ctx: StageContext,
): Promise<string> {
  const needs = [
    ...NEEDS,
    ...(options.peers.includes('libvirt') ? LIBVIRT : []),
    ...(options.figures.includes('storage') ? STORAGE : []),
  ];
  return ensurePackages(needs, { noInstall: options.noInstall, ...where }, ctx);
}
