import WebSocket from 'ws';
import { CONSOLE_BYTES_MAX } from '../../../hostd/contract/machines.ts';
import type { Category, HostAttempt, Through } from '../attempt.ts';
import { during, stoppedHostd } from '../during.ts';
import type { World } from '../world.ts';

const SECONDS = 3;
/** More upstream connections than the proxy may hold for one machine. */
const UPSTREAM_CONNECTIONS_MAX = 300;

type Judge = (world: World) => Promise<Through> | Through;

/** A script of the guest that floods for a few seconds while hostd and the other machine are watched. */
const flood = (name: string, script: string, judge: Judge = () => null, tidy = ''): HostAttempt => ({
  name,
  alone: true,
  run: (world) =>
    during(world, async () => {
      const { exitCode, stdout, stderr } = await world.exec(world.attacker, `${script}\necho flooded`, 120_000);
      const through = await judge(world);
      if (tidy) await world.exec(world.attacker, tidy);
      return { tried: stdout.includes('flooded'), through, note: exitCode === 0 ? '' : stderr.slice(0, 80) };
    }),
});

const consoleCapped: Judge = async (world) => {
  const { status, text } = await world.send('GET', `machines/${world.attacker}/console`);
  // A character may be up to three bytes.
  if (status !== 200) return `the console was answered with ${status}`;
  if (/[^\P{Cc}\n\t]/u.test(text)) return 'the console holds control characters';
  return text.length > CONSOLE_BYTES_MAX ? `${text.length} characters of console` : null;
};

/** Python in the guest that keeps many connections to its proxy open. */
const connections = (count: number, send: string, seconds = SECONDS) => `python3 -c "
import socket, time
held = []
for at in range(${count}):
  try:
    s = socket.create_connection(('127.0.0.1', 3128), 5); s.sendall(b'${send}'); held.append(s)
  except OSError: pass
print(len(held), 'held'); time.sleep(${seconds})"`;

const upstreamBounded: Judge = ({ bait }) =>
  bait.connectionsMost > UPSTREAM_CONNECTIONS_MAX ? `${bait.connectionsMost} connections to a service at once` : null;

export const floods: Category = {
  name: 'floods',
  about: 'console, logs, terminals, proxy connections and requests without end, while hostd and another machine are measured',
  attempts: [
    flood(
      'console',
      `timeout ${SECONDS} sh -c 'while :; do head -c 1000000 /dev/zero | tr "\\0" x; done >/dev/console'`,
      consoleCapped,
    ),
    flood(
      'console with escape sequences and bytes that are no text',
      `timeout ${SECONDS} sh -c 'while :; do printf "\\033]0;x\\007\\033[2J\\377\\376\\000"; head -c 4096 /dev/urandom; done >/dev/console'`,
      consoleCapped,
    ),
    flood(
      'kernel log',
      `timeout ${SECONDS} sh -c 'while :; do echo "<0>$(seq 200 | tr "\\n" x)" >/dev/kmsg; done'`,
      consoleCapped,
    ),
    {
      name: 'agent output, with a reader that does not read',
      alone: true,
      run: (world) =>
        during(world, async () => {
          const left = new AbortController();
          const followed = fetch(`${world.hostd.url}/machines/${world.attacker}/tail?path=/var/lib/warren/agent.out`, {
            headers: { authorization: `Bearer ${world.hostd.token}` },
            signal: left.signal,
          });
          const { stdout } = await world.exec(
            world.attacker,
            `timeout ${SECONDS} sh -c 'yes "{\\"jsonrpc\\":\\"2.0\\"}" >>/var/lib/warren/agent.out'; truncate -s 0 /var/lib/warren/agent.out; echo flooded`,
          );
          const reply = await followed;
          left.abort();
          return { tried: stdout.includes('flooded') && reply.ok };
        }),
    },
    {
      name: 'a terminal, with a page that does not read',
      alone: true,
      run: (world) =>
        during(world, async () => {
          const ws = new WebSocket(
            `${world.hostd.url.replace('http', 'ws')}/machines/${world.attacker}/pty?name=flood&user=root&cwd=/root`,
            {
              headers: { authorization: `Bearer ${world.hostd.token}` },
            },
          );
          await new Promise<void>((resolve, reject) => ws.once('open', () => resolve()).once('error', reject));
          ws.send(Buffer.from(`timeout ${SECONDS} yes "$(printf 'a\\033[2J')"; exit\r`));
          ws.pause();
          await new Promise((resolve) => setTimeout(resolve, SECONDS * 1000));
          ws.terminate();
          return { tried: true };
        }),
    },
    flood('a thousand connections to the proxy, held open', connections(1000, ''), async (world) => {
      // What one machine holds must not be missing for another.
      const { stdout } = await world.exec(
        world.victim,
        'curl -s -m 30 -o /dev/null -w %{http_code} http://git.warren.internal/x',
      );
      return stdout === '200' ? null : `the other machine’s proxy answered ${stdout}`;
    }),
    flood('headers that never end', connections(200, 'GET http://git.warren.internal/ HTTP/1.1\\r\\nX: ')),
    flood(
      'three thousand requests on one connection to a service that does not answer',
      connections(1, "' + b'GET http://git.warren.internal/never HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n' * 3000 + b'"),
      upstreamBounded,
    ),
    flood(
      'five hundred connections to a service that does not answer',
      connections(500, 'GET http://git.warren.internal/never HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n'),
      upstreamBounded,
    ),
    flood(
      'refused requests',
      `timeout ${SECONDS} sh -c 'while :; do curl -s -o /dev/null http://10.0.0.1/ http://10.0.0.2/ http://10.0.0.3/; done'`,
    ),
  ],
  controls: [stoppedHostd],
};

const DISK_RESERVE_BYTES = 1024 ** 3;

/** Runs a script in a control group of its own for a few seconds and ends all of it, so that the machine is there for what follows. */
const inGroup = (script: string) => `mkdir -p /sys/fs/cgroup/flood; echo 1500 >/sys/fs/cgroup/flood/pids.max
cat >/root/flood.sh <<'END'
${script}
END
sh -c 'echo $$ >/sys/fs/cgroup/flood/cgroup.procs && exec sh /root/flood.sh' >/dev/null 2>&1 &
sleep ${SECONDS}; echo 1 >/sys/fs/cgroup/flood/cgroup.kill; sleep 1; rmdir /sys/fs/cgroup/flood`;

export const resources: Category = {
  name: 'resources',
  about: 'processors, memory, processes and disk used up inside, sparse files, random numbers',
  attempts: [
    flood('a fork bomb', inGroup('f() { f | f & f; }; f')),
    flood(
      'processes up to a limit',
      inGroup(`exec perl -e 'while () { my $p = fork(); if (defined $p && !$p) { sleep 60; exit } }'`),
    ),
    flood(
      'all memory',
      `timeout ${SECONDS + 8} python3 -c "a = []
while True: a.append(bytearray(1 << 22))" 2>/dev/null`,
    ),
    flood(
      'all memory in files',
      `(timeout ${SECONDS + 4} dd if=/dev/zero of=/dev/shm/full bs=1M 2>/dev/null); rm -f /dev/shm/full`,
    ),
    flood('processors', `timeout ${SECONDS} sh -c 'while :; do :; done & while :; do :; done & while :; do :; done'`),
    flood('random numbers', `timeout ${SECONDS} dd if=/dev/hwrng of=/dev/null bs=64k 2>/dev/null`),
    flood(
      'its disk, written full',
      'timeout 20 dd if=/dev/zero of=/root/full bs=1M count=700 conv=fsync 2>/dev/null; fallocate -l 8G /root/sparse 2>/dev/null',
      async (world) => {
        const { value } = JSON.parse((await world.send('GET', 'host')).text) as { value: { diskFreeBytes: number } };
        return value.diskFreeBytes > DISK_RESERVE_BYTES ? null : 'the host’s disk reserve is gone';
      },
      'rm -f /root/full /root/sparse; busybox fstrim /',
    ),
    flood(
      'holes punched and filled',
      `fallocate -l 64M /root/holes; for at in $(seq 0 2 62); do fallocate -p -o \${at}M -l 1M /root/holes; dd if=/dev/urandom of=/root/holes bs=64k count=1 seek=$at conv=notrunc 2>/dev/null; done; rm /root/holes`,
    ),
    flood(
      'a file beyond its disk',
      'truncate -s 8E /root/huge; dd if=/dev/zero of=/root/huge bs=1 count=1 seek=8E conv=notrunc 2>/dev/null; dd if=/dev/zero of=/dev/vda bs=1M count=1 seek=8E 2>/dev/null; rm -f /root/huge',
    ),
    flood(
      'open files',
      `python3 -c "
import os
held = []
try:
  while True: held.append(os.open('/dev/null', 0))
except OSError: print(len(held))"`,
    ),
  ],
  controls: [stoppedHostd],
};
