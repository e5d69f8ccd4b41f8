#!/bin/busybox sh
# Init of the initramfs: loads what the root disk and the serial ports need, names the ports and hands over. It does here
# what udev would do later, because coldplugging every device takes seconds under emulation.
# With `warren.probe` on the command line it only proves that this accelerator runs a guest.
B=/bin/busybox
$B mount -t proc proc /proc
$B mount -t sysfs sys /sys
$B mount -t devtmpfs dev /dev
case "$($B cat /proc/cmdline)" in
  *warren.probe*) echo WARREN-PROBE-OK >/dev/console; $B poweroff -f ;;
esac
for module in $($B cat /modules/order); do $B insmod "/modules/$module.ko"; done
$B mkdir -p /dev/virtio-ports
for port in /sys/class/virtio-ports/*; do
  [ -s "$port/name" ] && $B ln -s "../${port##*/}" "/dev/virtio-ports/$($B cat "$port/name")"
done
$B mount -t ext4 -o rw,noatime,noinit_itable /dev/vda /root || { echo 'warren: the root disk does not mount' >/dev/console; $B sleep 5; $B poweroff -f; }
$B mount --move /dev /root/dev
$B umount /proc /sys
exec $B switch_root /root /lib/systemd/systemd
