#!/bin/sh
# mmdebstrap's last hook: turns the bootstrapped tree into disk.raw, vmlinux and initrd. Runs as (namespaced) root.
# Usage: customize.sh ROOT; the rest comes by environment: RECIPE, PACKAGES, OUT, DISK_MIB, FILES, UNITS,
# UNITS_ON_DEMAND, NPM_PARTS, NPM_LINKS, SOURCES, STARTED and SOURCE_DATE_EPOCH. Two runs over the same packages make the same
# bytes.
set -eu
export LC_ALL=C
root=$1
say() { echo "warren-stage: $*" >&2; }

say 'files'
for folder in $FILES; do cp -r --no-preserve=ownership "$RECIPE/$folder/." "$root/"; done
chmod 0440 "$root/etc/sudoers.d/warren"
# One part a line: from, to. A file becomes a program.
echo "$NPM_PARTS" | while read -r from to; do
  if [ -d "$PACKAGES/node_modules/$from" ]; then
    mkdir -p "$root$to"
    cp -r --no-preserve=ownership "$PACKAGES/node_modules/$from/." "$root$to/"
  else
    install -m 0755 "$PACKAGES/node_modules/$from" "$root$to"
  fi
done
echo "$NPM_LINKS" | while read -r link target; do ln -sf "$target" "$root$link"; done
# Certificate authorities this host trusts beyond Debian's: its network may need them.
if ls /usr/local/share/ca-certificates/*.crt >/dev/null 2>&1; then
  cp /usr/local/share/ca-certificates/*.crt "$root/usr/local/share/ca-certificates/"
  chroot "$root" update-ca-certificates >/dev/null
fi
# In the machine packages come through the proxy's own name, wherever this host gets them from.
rm -f "$root"/etc/apt/sources.list.d/*
echo "$SOURCES" >"$root/etc/apt/sources.list"

say 'users and units'
chroot "$root" useradd --create-home --uid 1000 --shell /bin/bash agent
# Empty passwords: sshd listens on nothing but its private port, and agent may become root anyway.
chroot "$root" passwd -q -d root
chroot "$root" passwd -q -d agent
install -d -o 1000 -g 1000 "$root/workspace" "$root/var/lib/warren"
install -m 0600 -o 1000 -g 1000 /dev/null "$root/var/lib/warren/agent.out"
install -m 0600 -o 1000 -g 1000 /dev/null "$root/var/lib/warren/agent.err"
# Where the certificate authority of inspected hosts is put; programs are pointed at it from the start.
: >"$root/etc/warren/egress-ca.crt"
# No DNS: names that are not for the proxy fail at once.
: >"$root/etc/resolv.conf"
: >"$root/etc/fstab"
# What must differ between machines is made by each at its first boot.
: >"$root/etc/machine-id"
rm -f "$root"/etc/ssh/ssh_host_* "$root/var/lib/dbus/machine-id"
# The guest agent sets the clock only where there is a hwclock, and waits for it, up to a second. A machine's hardware clock is
# the host's and needs no setting. So this is a program that ends at once: an ELF header, one segment and `exit(0)`, because
# with a loader and a C library to start, emulated, it would be a quarter of a wake-up.
{
  printf '\177ELF\2\1\1\0\0\0\0\0\0\0\0\0\2\0>\0\1\0\0\0x\0@\0\0\0\0\0@\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0@\0008\0\1\0\0\0\0\0\0\0'
  printf '\1\0\0\0\5\0\0\0\0\0\0\0\0\0\0\0\0\0@\0\0\0\0\0\0\0@\0\0\0\0\0\201\0\0\0\0\0\0\0\201\0\0\0\0\0\0\0\0\20\0\0\0\0\0\0'
  printf '1\377\270<\0\0\0\17\5'
} >"$root/sbin/hwclock.new"
chmod 0755 "$root/sbin/hwclock.new"
mv "$root/sbin/hwclock.new" "$root/sbin/hwclock"
# shellcheck disable=SC2086
chroot "$root" systemctl --quiet enable $UNITS
# shellcheck disable=SC2086
[ -z "$UNITS_ON_DEMAND" ] || chroot "$root" systemctl --quiet disable $UNITS_ON_DEMAND
chroot "$root" systemctl --quiet set-default multi-user.target
chroot "$root" systemctl --quiet mask \
  ssh.service ssh.socket qemu-guest-agent.service getty@tty1.service getty.target serial-getty@ttyS0.service \
  systemd-udevd.service systemd-udev-trigger.service systemd-udev-settle.service systemd-udevd-control.socket \
  systemd-udevd-kernel.socket systemd-hwdb-update.service systemd-networkd.service systemd-networkd.socket \
  systemd-network-generator.service systemd-resolved.service systemd-timesyncd.service systemd-pstore.service \
  systemd-random-seed.service systemd-update-utmp.service systemd-update-utmp-runlevel.service systemd-journal-flush.service \
  systemd-modules-load.service systemd-remount-fs.service systemd-firstboot.service systemd-machine-id-commit.service \
  systemd-boot-update.service systemd-journal-catalog-update.service systemd-update-done.service ldconfig.service \
  kmod-static-nodes.service modprobe@.service sys-kernel-debug.mount sys-kernel-tracing.mount dev-hugepages.mount \
  dev-mqueue.mount sys-fs-fuse-connections.mount sys-kernel-config.mount proc-sys-fs-binfmt_misc.automount \
  apt-daily.timer apt-daily-upgrade.timer apt-daily.service apt-daily-upgrade.service dpkg-db-backup.timer fstrim.timer \
  e2scrub_all.timer e2scrub_reap.service systemd-tmpfiles-clean.timer logrotate.timer remote-fs.target \
  cryptsetup.target systemd-ask-password-wall.path systemd-ask-password-console.path systemd-initctl.socket

say 'kernel'
kernel=$(basename "$root"/lib/modules/*)
# The uncompressed kernel starts by PVH: no decompressor, which alone takes seconds under emulation.
chroot "$root" sh -c 'set -e
  image=/boot/vmlinuz-'"$kernel"'
  offset=$(LC_ALL=C grep -abom1 -P "\xfd7zXZ\x00" "$image" | head -n1 | cut -d: -f1)
  tail -c +$((offset + 1)) "$image" | xz -dc --single-stream --ignore-check >/boot/vmlinux || [ -s /boot/vmlinux ]'
mv "$root/boot/vmlinux" "$OUT/vmlinux"
rm -f "$root"/boot/vmlinuz-* "$root"/boot/initrd.img-* "$root/vmlinuz" "$root/vmlinuz.old" "$root/initrd.img" "$root/initrd.img.old"

say 'initrd'
tree=$root/tmp/initramfs
mkdir -p "$tree/bin" "$tree/proc" "$tree/sys" "$tree/dev" "$tree/root" "$tree/modules"
cp "$root/bin/busybox" "$tree/bin/busybox"
install -m 0755 "$RECIPE/init.sh" "$tree/init"
: >"$tree/modules/order"
for module in $(chroot "$root" modprobe --set-version "$kernel" --show-depends --all \
    virtio_pci virtio_blk virtio_console virtio_rng crc32c_generic crc32c-intel ext4 | sed -n 's/^insmod \([^ ]*\).*/\1/p'); do
  name=$(basename "$module" .ko)
  [ -e "$tree/modules/$name.ko" ] && continue
  cp "$root$module" "$tree/modules/$name.ko"
  echo "$name" >>"$tree/modules/order"
done
find "$tree" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
# cpio came with the kernel's initramfs-tools.
chroot "$root" sh -c 'cd /tmp/initramfs && find . | LC_ALL=C sort | cpio --quiet --reproducible -R 0:0 -o -H newc' >"$OUT/initrd"
rm -rf "$tree"

say 'what differs from build to build'
rm -rf "$root/var/lib/apt/lists/"* "$root/var/cache/apt/"*.bin "$root/var/cache/apt/archives/"*.deb "$root/tmp/"* "$root/run/"*
rm -rf "$root/var/cache/ldconfig" "$root/var/cache/fontconfig/"* "$root/var/cache/debconf/"*-old "$root/var/lib/dpkg/"*-old
rm -f "$root"/etc/passwd- "$root"/etc/group- "$root"/etc/shadow- "$root"/etc/gshadow- "$root"/etc/subuid- "$root"/etc/subgid-
find "$root/var/log" -type f -delete
# The day of each password's last change.
sed -i -E 's/^([^:]*:[^:]*):[0-9]+:/\1:'$((SOURCE_DATE_EPOCH / 86400))':/' "$root/etc/shadow"
chroot "$root" dpkg-query -W -f '${Package} ${Version}\n' >"$OUT/packages.txt"

say 'disk'
# A plain bind mount shows the tree without the /proc and /sys that mmdebstrap mounted inside it.
plain=$(mktemp -d)
mount --bind "$root" "$plain"
trap 'umount "$plain"; rmdir "$plain"' EXIT
# Packages give their files times; what was made here has the recipe's.
find "$plain" -newermt "@$((STARTED - 1))" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
truncate -s "${DISK_MIB}M" "$OUT/disk.raw"
# mke2fs takes names in sorted order. The variable is the one by which the tests of e2fsprogs fix the time.
export E2FSPROGS_FAKE_TIME="$SOURCE_DATE_EPOCH"
mke2fs -q -t ext4 -L warren -m 0 -U 77617272-656e-4000-8000-000000000001 \
  -E hash_seed=77617272-656e-4000-8000-000000000002,lazy_itable_init=1,lazy_journal_init=1 -d "$plain" "$OUT/disk.raw"
# When a file was last read and when its inode changed cannot be set in the tree, only in the disk.
inodes=$(dumpe2fs -h "$OUT/disk.raw" 2>/dev/null | awk -F: '/^Inode count/ {all = $2} /^Free inodes/ {free = $2} END {print all - free}')
awk -v last="$inodes" -v at="@$SOURCE_DATE_EPOCH" 'BEGIN {
  for (i = 2; i <= last; i++) if (i == 2 || i > 10) for (f = 0; f < 2; f++) printf "sif <%d> %s %s\n", i, f ? "ctime" : "atime", at
}' >"$OUT/times"
debugfs -w -f "$OUT/times" "$OUT/disk.raw" >/dev/null 2>"$OUT/times.log" || { cat "$OUT/times.log" >&2; exit 1; }
rm "$OUT/times" "$OUT/times.log"

say 'list of contents'
# Kind, mode, owner, group, time, name and, after a tab, where a link leads.
(cd "$plain" && find . -mindepth 1 -printf '%y %m %U %G %Ts %p\t%l\n') >"$OUT/tree.txt"
# With -z names are written as they are.
(cd "$plain" && find . -type f -print0 | xargs -0 -r sha256sum -z | tr '\0' '\n') >"$OUT/sums.txt"
