import { describe, expect, it } from 'vitest';
import type { VmSpec } from '../driver.ts';
import { INBOX_URI, qemuArgs, spareArgs } from './args.ts';

const SPEC: VmSpec = {
  machineId: 'mch_0000000001',
  memoryMiB: 1024,
  vcpus: 2,
  memoryPath: '/data/m,1/memory',
  diskPath: '/data/disk.raw',
  logPath: '/data/qemu.log',
  socketDir: '/run/w/mch_0000000001',
  machineType: 'pc-q35-7.2',
  cpuModel: 'EPYC',
  begin: { kind: 'restore' },
};
const argsOf = (spec: VmSpec, accelerator: 'kvm' | 'tcg' = 'tcg') => qemuArgs(spec, accelerator, 'GUID');
const valuesOf = (args: string[], name: string) => args.filter((_, index) => args[index - 1] === name);
const boot: VmSpec = { ...SPEC, begin: { kind: 'boot', kernelPath: '/i/vmlinux', initrdPath: '/i/initrd' } };

describe('QEMU’s command line', () => {
  it('has the sandbox and no defaults', () => {
    const args = argsOf(SPEC);
    expect(args).toEqual(expect.arrayContaining(['-nodefaults', '-no-user-config']));
    expect(valuesOf(args, '-sandbox')).toEqual(['on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny']);
  });

  it('has these devices and no network device', () => {
    const names = valuesOf(argsOf(boot), '-device').map((value) => value.split(',')[0]);
    expect(names).toEqual([
      'virtio-blk-pci',
      'virtio-rng-pci',
      'virtio-serial-pci',
      'virtserialport',
      'virtserialport',
      'vmgenid',
    ]);
    expect(argsOf(boot).join(' ')).not.toMatch(/net(dev|,)|-nic|-usb|hostfwd/);
  });

  it('gives a restore the same machine as a boot, only not the kernel', () => {
    const machineOf = (spec: VmSpec) => argsOf(spec).slice(0, argsOf(spec).indexOf('-S') + 1);
    expect(machineOf(SPEC)).toEqual(machineOf(boot));
    expect(argsOf(SPEC).slice(-4)).toEqual(['-option-rom', 'pvh.bin', '-incoming', 'defer']);
    expect(argsOf(boot)).toEqual(expect.arrayContaining(['-kernel', '/i/vmlinux', '-initrd', '/i/initrd']));
  });

  it('opens no socket by its path: it inherits those that hostd listens on', () => {
    expect(valuesOf(argsOf(SPEC), '-chardev')).toEqual([
      'socket,id=qmp,fd=4,server=on,wait=on',
      'ringbuf,id=console,size=262144',
      'socket,id=ssh,fd=6,server=on,wait=off',
      'socket,id=agent,fd=5,server=on,wait=off',
    ]);
    expect(INBOX_URI).toBe('fd:7');
  });

  it('is named by the directory that no other machine of the host has', () => {
    expect(valuesOf(argsOf({ ...SPEC, socketDir: '/run/w,1/mch_0000000001' }), '-name')).toEqual(['/run/w,,1/mch_0000000001']);
  });

  it('maps memory privately, and keeps a comma in a path from becoming an option', () => {
    const parsed = (name: string) => valuesOf(argsOf(SPEC), name).map((value) => JSON.parse(value));
    expect(parsed('-object')).toEqual([
      { 'qom-type': 'memory-backend-file', id: 'ram', size: 1024 * 1024 * 1024, 'mem-path': '/data/m,1/memory', share: false },
    ]);
    expect(parsed('-blockdev')).toMatchObject([{ driver: 'raw', file: { filename: '/data/disk.raw' } }]);
  });

  it('of a spare makes the same machine, only without memory and disk yet', () => {
    const spare = spareArgs({ ...SPEC, spareId: 'spr_1', dir: '/data/spares/spr_1', diskBytes: 1 }, 'tcg', 'GUID');
    const late = ['-object', '-blockdev'].flatMap((name) => [name, ...valuesOf(argsOf(SPEC), name)]);
    const machine = argsOf(SPEC).map((arg) => arg.replace(',memory-backend=ram', ''));
    expect(spare).toEqual([...machine.filter((arg) => !late.includes(arg)), '-preconfig']);
  });

  it('names the accelerator and passes the host CPU under KVM', () => {
    expect(valuesOf(argsOf(SPEC), '-accel')).toEqual(['tcg,thread=multi']);
    const kvm = argsOf({ ...SPEC, cpuModel: 'host:AMD EPYC' }, 'kvm');
    expect([valuesOf(kvm, '-accel'), valuesOf(kvm, '-cpu')]).toEqual([['kvm'], ['host']]);
  });
});
