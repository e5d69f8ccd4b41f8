import path from 'node:path';
import type { Accelerator } from '../../contract/machines.ts';
import { STATUS_FD } from '../../jail/argv.ts';
import type { SpareSpec, VmSpec } from '../driver.ts';
import { cpuArgument } from './platform.ts';

const CONSOLE_RING_BYTES = 256 * 1024;
/** Debian's QEMU finds it in its data directory. */
const PVH_ROM = 'pvh.bin';
/** A restore needs the ROM that a kernel start brings along, but not the kernel. */
const RESTORE_ARGS = ['-option-rom', PVH_ROM, '-incoming', 'defer'];
const MIB = 1024 * 1024;
/** The system call filter that every QEMU runs under. */
export const SANDBOX = 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny';

/** What QEMU has open from its start, in this order after STATUS_FD: its listening sockets and the file a device state comes in. */
export const INHERITED = ['qmp', 'agent', 'ssh', 'inbox'] as const;
const descriptorOf = (name: (typeof INHERITED)[number]) => STATUS_FD + 1 + INHERITED.indexOf(name);
export const INBOX_URI = `fd:${descriptorOf('inbox')}`;

/**
 * QEMU's command line. No network device, no USB, no SATA, no display. Everything a saved state depends on (devices and
 * their order, memory size, CPU) comes from the spec, so a restore gets the same machine.
 */
export function qemuArgs(spec: VmSpec, accelerator: Accelerator, generationId: string): string[] {
  return [
    ...machineArgs(spec, accelerator, generationId, ',memory-backend=ram'),
    ...[
      '-object',
      JSON.stringify(memoryBackend(spec.memoryMiB, spec.memoryPath)),
      '-blockdev',
      JSON.stringify(diskNode(spec.diskPath, true)),
    ],
    ...beginArgs(spec, accelerator),
  ];
}

/** Of a process that stops before it makes its machine, so that memory and disk can still be named (completion in spare.ts). */
export function spareArgs(spec: SpareSpec, accelerator: Accelerator, generationId: string): string[] {
  return [...machineArgs(spec, accelerator, generationId, ''), ...RESTORE_ARGS, '-preconfig'];
}

/** Private: the kernel copies a page when the guest first writes to it, and by that knows which pages are not the file's. */
export function memoryBackend(memoryMiB: number, file: string) {
  return { 'qom-type': 'memory-backend-file', id: 'ram', size: memoryMiB * MIB, 'mem-path': path.resolve(file), share: false };
}

/** @param opensLate opened for writing, by its path again, only once the machine may write */
export function diskNode(file: string, opensLate: boolean) {
  const protocol = { driver: 'file', filename: path.resolve(file), 'auto-read-only': opensLate };
  return { driver: 'raw', 'node-name': 'disk', discard: 'unmap', file: protocol };
}

function machineArgs(spec: VmSpec | SpareSpec, accelerator: Accelerator, generationId: string, machineOptions: string): string[] {
  const chardev = (id: 'qmp' | 'agent' | 'ssh', wait: 'on' | 'off' = 'off') => [
    '-chardev',
    `socket,id=${id},fd=${descriptorOf(id)},server=on,wait=${wait}`,
  ];
  return [
    ...['-name', nameOf(spec.socketDir), '-nodefaults', '-no-user-config', '-display', 'none'],
    ...['-sandbox', SANDBOX],
    ...['-machine', `${spec.machineType},usb=off,sata=off,smbus=off,vmport=off,suppress-vmdesc=on${machineOptions}`],
    // With `suppress-vmdesc` the form in which a device state without memory is written, and so must be read.
    ...['-global', 'migration.send-configuration=off'],
    ...['-accel', accelerator === 'tcg' ? 'tcg,thread=multi' : 'kvm', '-cpu', cpuArgument(spec.cpuModel)],
    ...['-smp', String(spec.vcpus), '-m', `${spec.memoryMiB}M`],
    // QEMU hands this socket to a thread of its own. A client that comes meanwhile, as a spare's does, may be read by both threads
    // from then on: one in 130 lost a command later or failed an assertion in the JSON parser. So it takes its first client first.
    ...chardev('qmp', 'on'),
    ...['-mon', 'chardev=qmp,mode=control'],
    // A ring in QEMU's memory: the guest can fill no disk with it, also while hostd is down.
    ...['-chardev', `ringbuf,id=console,size=${CONSOLE_RING_BYTES}`, '-serial', 'chardev:console'],
    ...['-device', 'virtio-blk-pci,drive=disk', '-device', 'virtio-rng-pci', '-device', 'virtio-serial-pci'],
    ...chardev('ssh'),
    ...['-device', 'virtserialport,chardev=ssh,name=warren.ssh'],
    ...chardev('agent'),
    ...['-device', 'virtserialport,chardev=agent,name=org.qemu.guest_agent.0'],
    // New at every start: the guest's kernel reseeds its random numbers when it sees another one than before.
    ...['-device', `vmgenid,guid=${generationId}`],
    // A guest that powers off or reboots stops here, so that its console can still be read.
    ...['-action', 'reboot=shutdown,shutdown=pause', '-S'],
  ];
}

/** Names a machine among all processes of the host: by this it is found when its pid was never written down. */
export function nameOf(socketDir: string): string {
  return optionValue(socketDir);
}

function beginArgs(spec: VmSpec, accelerator: Accelerator): string[] {
  if (spec.begin.kind === 'restore') return RESTORE_ARGS;
  const { kernelPath, initrdPath } = spec.begin;
  return ['-kernel', kernelPath, '-initrd', initrdPath, '-append', kernelCommandLine(accelerator)];
}

/** What a guest is booted with, also those that ours are compared with. */
export function kernelCommandLine(accelerator: Accelerator): string {
  const words = ['console=ttyS0', 'quiet', 'systemd.show_status=0', 'panic=-1', 'audit=0', '8250.nr_uarts=1'];
  // Speculation is not emulated; guarding against it only costs.
  if (accelerator === 'tcg') words.push('mitigations=off', 'cryptomgr.notests');
  return words.join(' ');
}

/** QEMU splits option values at commas and reads two as one. */
function optionValue(file: string): string {
  return path.resolve(file).replaceAll(',', ',,');
}
