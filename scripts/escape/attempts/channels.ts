import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import type { Category, HostAttempt } from '../attempt.ts';
import { during, stoppedHostd } from '../during.ts';
import type { World } from '../world.ts';

const SECONDS = 2;
/** Starting Node and shaking hands takes its time under emulation. */
const SERVE_SECONDS = 20;
const BACK_DEADLINE_MS = 120_000;

/** Python in the guest that takes a serial port from the program that serves it, and writes what `say` makes for a few seconds. */
const speaker = (unit: string, port: string, say: string) => `cat >/root/speak.py <<'END'
import os, subprocess, time, struct
subprocess.run(['systemctl', 'stop', '${unit}'])
try:
  f = os.open('/dev/virtio-ports/${port}', os.O_RDWR | os.O_NONBLOCK)
  over = time.monotonic() + ${SECONDS}
  sent = held = 0
  def write(data):
    global sent, held
    while data and time.monotonic() < over:
      try:
        n = os.write(f, data); sent += n; data = data[n:]
      except BlockingIOError: held += 1; time.sleep(0.01)
  round = 0
  while time.monotonic() < over:
    write(${say}); round += 1
  os.close(f)
  open('/root/sent', 'w').write('sent %d bytes, held up %d times' % (sent, held))
finally:
  subprocess.run(['systemctl', 'start', '${unit}'])
END
rm -f /root/sent; setsid sh -c 'sleep 0.3; exec python3 /root/speak.py' >/root/spoken 2>&1 </dev/null & echo`;

const AGENT = ['warren-qga.service', 'org.qemu.guest_agent.0'] as const;
const SSH = ['warren-ssh.service', 'warren.ssh'] as const;

/** The port's own program is back, and what was said on its place has been said. */
const speaking = (name: string, [unit, port]: readonly [string, string], say: string): HostAttempt => ({
  name,
  alone: true,
  run: (world) =>
    during(world, async () => {
      await world.exec(world.attacker, speaker(unit, port, say));
      return spoken(world);
    }),
});

/** Waits until the machine says what was sent, over the channel that was abused. */
async function spoken(world: World): ReturnType<HostAttempt['run']> {
  // Also the proof that hostd finds its way back over a port that was abused.
  const deadline = performance.now() + BACK_DEADLINE_MS;
  for (;;) {
    const reply = await world.exec(world.attacker, 'cat /root/sent; echo; cat /root/spoken', 20_000).catch(() => null);
    const said = /^sent .*/.exec(reply?.stdout ?? '')?.[0];
    if (said) return { tried: true, through: null, note: said };
    if (performance.now() > deadline)
      return { tried: reply !== null, through: reply ? null : 'the machine was lost for good', note: reply?.stdout ?? '' };
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

/** ssh2 and what it needs, as far as nothing of it is compiled. */
const SSH2 = ['ssh2', 'asn1', 'bcrypt-pbkdf', 'safer-buffer', 'tweetnacl'];

/** An SSH server of the guest's own in the place of its sshd for a while. */
const serving = (name: string, act: string): HostAttempt => ({
  name,
  alone: true,
  run: (world) =>
    during(world, async () => {
      const modules = path.join(import.meta.dirname, '..', '..', '..', 'node_modules');
      const program = ['-C', path.join(import.meta.dirname, '..', 'guest'), 'hostile-ssh.cjs'];
      const options = { encoding: 'buffer', maxBuffer: 16 * 1024 * 1024 } as const;
      const { stdout } = await promisify(execFile)('tar', ['cz', '-C', modules, ...SSH2, ...program], options);
      const body = { path: '/root/ssh.tgz', dataBase64: stdout.toString('base64'), mode: 'replace', user: 'root' };
      await world.hostd.call('POST', `machines/${world.attacker}/write`, body);
      const script = `mkdir -p /root/ssh/node_modules && tar xzf /root/ssh.tgz -C /root/ssh/node_modules
cat >/root/serve.sh <<'END'
sleep 0.3
systemctl stop ${SSH[0]}
timeout ${SERVE_SECONDS} node /root/ssh/node_modules/hostile-ssh.cjs ${act} /root/sent 0<>/dev/virtio-ports/${SSH[1]} 1>&0
systemctl start ${SSH[0]}
END
rm -f /root/sent; setsid sh /root/serve.sh >/dev/null 2>/root/spoken </dev/null & echo`;
      await world.exec(world.attacker, script);
      return spoken(world);
    }),
});

export const channels: Category = {
  name: 'channels',
  about:
    'the guest agent’s and SSH’s ports in the hands of a hostile program: noise, forged replies, lines and packets without end',
  attempts: [
    speaking(
      'agent: forged replies to every number',
      AGENT,
      'b\'\'.join(b\'{"return":{},"id":%d}\\n\' % n for n in range(round * 500, round * 500 + 500))',
    ),
    speaking('agent: a line without end', AGENT, "b'x' * 65536"),
    speaking('agent: JSON as deep as it goes', AGENT, "b'[' * 900000 + b']' * 900000 + b'\\n'"),
    speaking('agent: bytes that are no text', AGENT, "bytes(range(128, 256)) * 256 + b'\\n'"),
    speaking('SSH: noise', SSH, 'os.urandom(65536)'),
    speaking('SSH: a banner without end', SSH, "b'SSH-2.0-' + b'x' * 65536"),
    speaking('SSH: banners without end', SSH, "b'SSH-2.0-OpenSSH_9.2\\r\\n' * 3000"),
    speaking('SSH: a banner and a packet of four gigabytes', SSH, "b'SSH-2.0-x\\r\\n' + b'\\xff' * 8 + bytes(4096)"),
    speaking(
      'SSH: a banner and a key exchange of zeros',
      SSH,
      "b'SSH-2.0-x\\r\\n' + struct.pack('>IB', 4092, 10) + b'\\x14' + bytes(4090)",
    ),
    serving('SSH: error output behind the end of a proxy connection', 'behind-the-end'),
    serving('SSH: host keys announced without end', 'host-keys'),
  ],
  controls: [stoppedHostd],
};
