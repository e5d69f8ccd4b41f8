import type { Category, ProbeAttempt } from '../attempt.ts';

const sh = (name: string, script: string, sign?: RegExp): ProbeAttempt => ({
  name,
  probe: { kind: 'sh', script: `${script}\necho; echo tried` },
  ...(sign ? { through: ({ text }) => sign.exec(text)?.[0] ?? null } : {}),
});
const py = (name: string, code: string, sign?: RegExp): ProbeAttempt => ({
  name,
  probe: { kind: 'py', code },
  ...(sign ? { through: ({ text }) => sign.exec(text)?.[0] ?? null } : {}),
});

/** Bytes to I/O ports; an empty list only reads. */
const ports = (name: string, writes: readonly [port: number, bytes: readonly number[]][]) =>
  py(
    name,
    `f = os.open('/dev/port', os.O_RDWR)
for port, data in ${JSON.stringify(writes)}:
  for byte in data:
    os.lseek(f, port, 0); os.write(f, bytes([byte]))
  os.lseek(f, port, 0); say('%#x: %r' % (port, os.read(f, 1)))`,
  );

/** A program of 150 bytes that takes all I/O ports and asks for VMware's back door; exit codes 77: not allowed, 99: it answered. */
const NATIVE = `code = bytes.fromhex(
  'b8ac000000' 'bf03000000' '0f05' '4885c0' '753b'
  '66ba0105' 'b001' 'ee' '66baf400' 'ee' '66ba0204' 'ee' '66bae900' 'ee'
  'b868584d56' '31db' 'b90a000000' 'ba58560000' 'ed' '81fb68584d56' '7415'
  '31ff' 'b83c000000' '0f05'
  'bf4d000000' 'b83c000000' '0f05'
  'bf63000000' 'b83c000000' '0f05')
head = struct.pack('<16sHHIQQQIHHHHHH', b'\\x7fELF\\x02\\x01\\x01', 2, 62, 1, 0x400078, 64, 0, 0, 64, 56, 1, 0, 0, 0)
head += struct.pack('<IIQQQQQQ', 1, 5, 0, 0x400000, 0x400000, 120 + len(code), 120 + len(code), 4096)
open('/root/native', 'wb').write(head + code); os.chmod('/root/native', 0o755)
status = os.waitstatus_to_exitcode(os.system('/root/native'))
say('exit: %d' % status)
if status not in (0, 99): raise RuntimeError('it did not run')`;

/** Where q35 has nothing, or nothing that a machine needs: TPM, flash, empty bus space, beyond memory, HPET. */
const MMIO = ['0xfed40000', '0xfff80000', '0xfeb80000', '0xe0000000', '0x200000000', '0xfed00100', '0xfec10000', '0xb0100000'];

export const devices: Category = {
  name: 'devices',
  about: 'ports, PCI configuration and memory of devices that are there and that are not, firmware interface, MSRs, clocks',
  attempts: [
    py('native port I/O at all privilege, VMware’s back door', NATIVE, /exit: 99/),
    ports('debug-exit and debug-console ports', [
      [0x501, [0, 1, 255]],
      [0xf4, [0, 1, 255]],
      [0x402, [65]],
      [0xe9, [65]],
    ]),
    ports('firmware interface: write to every selector', [
      [0x510, [0x19, 0x00]],
      [0x511, [1, 2, 3, 4]],
      [0x510, [0xff, 0xff]],
      [0x511, [0]],
    ]),
    ports('firmware interface: DMA to addresses that are not there', [
      [0x514, [255, 255, 255, 255]],
      [0x518, [255, 255, 255, 240]],
    ]),
    sh(
      'firmware interface: host paths and secrets in its files',
      `modprobe qemu_fw_cfg; for file in /sys/firmware/qemu_fw_cfg/by_key/*/raw; do head -c 16384 $file; done | busybox strings |
        grep -F -m 5 -e {datadir} -e {secret} -e HOSTD_ | sed 's/^/found: /'`,
      /found: .*/,
    ),
    sh(
      'host paths and secrets in tables, command line and boot messages',
      `{ cat /proc/cmdline; dmesg; cat /sys/firmware/acpi/tables/* /sys/class/dmi/id/* 2>/dev/null; } | busybox strings |
        grep -F -m 5 -e {datadir} -e {secret} -e HOSTD_ | sed 's/^/found: /'`,
      /found: .*/,
    ),
    ports('PCI hotplug: eject what is not there', [
      [0xcd0, [255, 255, 255, 255]],
      [0xcc8, [0, 0, 0xff, 0xff]],
    ]),
    ports('CPU hotplug registers', [
      [0xcd8, [255, 255, 255, 255]],
      [0xcdc, [8]],
    ]),
    ports('disks, floppies, VGA and parallel ports that are not there', [
      [0x1f6, [0xe0]],
      [0x1f7, [0x20, 0xec]],
      [0x3f5, [8]],
      [0x3c0, [1, 2]],
      [0x378, [255]],
    ]),
    ports('DMA controller on all of memory', [
      [0x0c, [0]],
      [0x04, [255, 255]],
      [0x05, [255, 255]],
      [0x81, [255]],
      [0x0b, [0x46]],
      [0x0a, [0x02]],
    ]),
    ports('configuration of PCI devices that are not there', [
      [0xcf8, [0, 0xf8, 0xff, 0x80]],
      [0xcfc, [255, 255, 255, 255]],
    ]),
    py(
      'configuration of the chipset, every byte turned and put back',
      `for device in ('0000:00:00.0', '0000:00:1f.0'):
  f = os.open('/sys/bus/pci/devices/%s/config' % device, os.O_RDWR)
  for at in range(0x84, 0x100):
    old = os.pread(f, 1, at)
    os.pwrite(f, bytes([old[0] ^ 255]), at); os.pwrite(f, old, at)
  say('turned')`,
    ),
    py(
      'configuration of its disk and serial ports beyond the header',
      `for device in sorted(os.listdir('/sys/bus/pci/devices')):
  if device.endswith(('00.0', '1f.0')): continue
  f = os.open('/sys/bus/pci/devices/%s/config' % device, os.O_RDWR)
  for at in range(0xc0, 0x100): os.pwrite(f, b'\\xff', at)
  say('written')`,
    ),
    sh(
      'memory of devices that are not there',
      MMIO.map(
        (at) => `for width in 8 16 32 64; do busybox devmem ${at} $width 0xff 2>&1; busybox devmem ${at} $width 2>&1; done`,
      ).join('\n'),
    ),
    py(
      'model-specific registers: clocks, hypercalls, microcode',
      `os.system('modprobe msr; mkdir -p /dev/cpu/0; mknod /dev/cpu/0/msr c 202 0 2>/dev/null')
f = os.open('/dev/cpu/0/msr', os.O_RDWR)
for at in (0x12, 0x11, 0x4b564d00, 0x4b564d01, 0x4b564d02, 0x4b564d04, 0x40000000, 0x40000001, 0x40000073, 0x79, 0x8b, 0x17f, 0xc0010117):
  for value in (1, (1 << 64) - 1, 0xfffffffff001):
    try: os.pwrite(f, struct.pack('<Q', value), at); say('%#x written' % at)
    except OSError as error: say('%#x %d' % (at, error.errno))`,
    ),
    py(
      'generation id: its address turned',
      `table = open('/sys/firmware/acpi/tables/SSDT', 'rb').read()
at = table.index(b'VGIA') + 5
address = struct.unpack('<I', table[at:at + 4])[0] if table[at - 1] == 12 else 0
say('at %#x' % address)
for offset in (0, 40, 48): say(os.popen('busybox devmem %#x 64 0xffffffffffffffff 2>&1' % (address + offset)).read())`,
    ),
    sh(
      'balloon, memory, crypto, GPU and sound devices',
      'modprobe -a virtio_balloon virtio_mem virtio_crypto virtio_gpu virtio_snd virtio_pmem vhost_net 2>&1 | tail -n 2; ls /sys/bus/virtio/devices',
    ),
    sh(
      'random numbers without end',
      'timeout 4 dd if=/dev/hwrng of=/dev/null bs=64k 2>&1 || timeout 4 cat /dev/hwrng >/dev/null',
    ),
    sh(
      'hardware clock in another century',
      'for year in 1975 2099; do date -s "$year-01-01" >/dev/null; busybox hwclock -w 2>&1; done; date -s "@{now}"; busybox hwclock -w',
    ),
    {
      name: 'its own clock in other centuries, and hostd’s log out of order',
      alone: true,
      run: async (world) => {
        const before = world.hostd.log.length;
        for (const year of [2099, 1985, 2038]) await world.exec(world.attacker, `date -s ${year}-01-19`);
        const { stdout } = await world.exec(world.attacker, 'date +%Y; date -s "@'.concat(world.words.now ?? '', '" >/dev/null'));
        const times = world.hostd.log.slice(before).map((line) => (JSON.parse(line) as { time: string }).time);
        const isOrdered = times.every((time, at) => at === 0 || time >= times[at - 1]!);
        return {
          tried: stdout.startsWith('2038') && times.length > 0,
          through: isOrdered ? null : 'hostd’s log went back in time',
        };
      },
    },
    py(
      'serial port registers',
      `f = os.open('/dev/port', os.O_RDWR)
for at in range(0x3f9, 0x400):
  old = os.pread(f, 1, at)
  for byte in (0, 255, 0x80, 0x55): os.pwrite(f, bytes([byte]), at)
  os.pwrite(f, old, at)
say('written')`,
    ),
    sh(
      'another kernel over this one',
      'ls /boot; busybox dd if=/dev/zero of=/root/kernel bs=64k count=1 2>/dev/null; perl -e \'open(F,"</root/kernel"); my $a = ""; print syscall(320, fileno(F), -1, 0, $a, 6), " $!\\n"\'',
    ),
    sh(
      'nested virtualisation',
      'modprobe kvm_amd 2>&1; modprobe kvm_intel 2>&1; mknod /dev/kvm c 10 232 2>/dev/null; head -c 1 /dev/kvm 2>&1; ls -l /dev/kvm',
    ),
  ],
  controls: [
    {
      name: 'the search for host paths finds one that is there',
      probe: {
        kind: 'sh',
        script:
          "printf 'x\\0\\1{secret}\\0' | busybox strings | grep -F -m 5 -e {datadir} -e {secret} | sed 's/^/found: /'; echo; echo tried",
      },
      through: ({ text }) => /found: .*/.exec(text)?.[0] ?? null,
    },
  ],
};
