import type { Category, ProbeAttempt } from '../attempt.ts';

/** What root must be able to do in its own machine. Each is a control: it has to work. */
const works = (name: string, script: string): ProbeAttempt => ({
  name,
  probe: { kind: 'sh', script: `(set -e\n${script}\n) 2>&1 && echo works; echo; echo tried` },
  through: ({ text }) => (/^works$/m.test(text) ? 'it works' : null),
});

export const inside: Category = {
  name: 'inside',
  about: 'what root may do in its own machine: packages, namespaces, containers, mounts, firewall',
  attempts: [],
  controls: [
    works(
      'install a package of its own with apt',
      `mkdir -p /root/p/DEBIAN /root/p/opt; printf 'Package: escape\\nVersion: 1\\nArchitecture: all\\nMaintainer: a <a@a.a>\\nDescription: a\\n' >/root/p/DEBIAN/control
       echo 1 >/root/p/opt/escape; dpkg-deb -b /root/p /root/escape.deb; apt-get install -y /root/escape.deb; cat /opt/escape`,
    ),
    works(
      'namespaces of every kind, with a root of its own',
      'unshare -Urmpinuf --mount-proc sh -c "hostname inner; id -u | grep -x 0; ps ax | wc -l"',
    ),
    works(
      'control groups',
      `mkdir -p /sys/fs/cgroup/escape; echo $$ >/sys/fs/cgroup/escape/cgroup.procs; cat /sys/fs/cgroup/cgroup.controllers | grep memory | grep cpu | grep pids
       echo $$ >/sys/fs/cgroup/cgroup.procs; rmdir /sys/fs/cgroup/escape`,
    ),
    works(
      'overlay, loop, bind and tmpfs mounts',
      `cd /root; mkdir -p o/l o/u o/w o/m; mount -t tmpfs t o; mkdir -p o/l o/u o/w o/m; mount -t overlay o -o lowerdir=o/l,upperdir=o/u,workdir=o/w o/m; touch o/m/a; test -e o/u/a; umount o/m
       modprobe loop; truncate -s 8M o/i; mke2fs -q o/i; mount -o loop o/i o/m; umount o/m; umount o`,
    ),
    works(
      'FUSE',
      `modprobe fuse; test -c /dev/fuse || mknod /dev/fuse c 10 229; python3 -c "
import os
f = os.open('/dev/fuse', os.O_RDWR)" ; mkdir -p /root/f; perl -e 'open(F, "+</dev/fuse") or die; my $o = "fd=" . fileno(F) . ",rootmode=40000,user_id=0,group_id=0"; my ($a, $b, $c) = ("x", "/root/f", "fuse"); syscall(165, $a, $b, $c, 0, $o) == 0 or die "$!"'; umount -l /root/f`,
    ),
    works(
      'virtual networks between its own namespaces',
      `ip netns add escape; ip link add e0 type veth peer name e1 netns escape; ip addr add 10.9.0.1/30 dev e0; ip link set e0 up
       ip -n escape addr add 10.9.0.2/30 dev e1; ip -n escape link set e1 up; ip netns exec escape busybox ping -c 1 -W 5 10.9.0.1; ip netns del escape`,
    ),
    works('firewall rules', 'modprobe -a nf_tables ip_tables nf_nat br_netfilter xt_conntrack; test -d /proc/sys/net/netfilter'),
    works(
      'other users, their files and their processes',
      'id escape >/dev/null 2>&1 || useradd escape; su escape -c "id -un" | grep -x escape; chroot / true',
    ),
    works('kernel modules', 'modprobe dummy; rmmod dummy'),
    works('the proxy’s services', 'curl -sf -m 30 http://git.warren.internal/{token}'),
  ],
};
