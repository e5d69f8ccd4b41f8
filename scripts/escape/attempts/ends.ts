import type { MachineView } from '../../../hostd/contract/machines.ts';
import type { Category, HostAttempt } from '../attempt.ts';
import { during, stoppedHostd } from '../during.ts';
import type { World } from '../world.ts';

const GONE_DEADLINE_MS = 90_000;
const LOOK_MS = 250;

async function stateOf(world: World, machineId: string): Promise<string> {
  return (await world.hostd.call<MachineView>('GET', `machines/${machineId}`)).state;
}

/**
 * A machine of its own, made from the attacker's last snapshot, ends itself. It must be reported as exited, and be gone when it
 * is removed; hostd and the other machine are watched all the while.
 */
const ending = (name: string, script: string): HostAttempt => ({
  name,
  run: (world) =>
    during(world, async () => {
      const machineId = await world.makeSpare();
      try {
        // Nothing answers a command that ends the machine.
        void world.exec(machineId, `${script}; echo 1 >/root/went-on`, 20_000).catch(() => null);
        const deadline = performance.now() + GONE_DEADLINE_MS;
        while ((await stateOf(world, machineId)) !== 'exited') {
          if (performance.now() > deadline)
            return { tried: true, through: 'it was still called running after a minute and a half' };
          await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
        }
        return { tried: true, note: (await world.hostd.call<MachineView>('GET', `machines/${machineId}`)).exitReason ?? '' };
      } finally {
        await world.remove(machineId);
      }
    }),
});

const port = (at: number, byte: number) =>
  `printf '\\${byte.toString(8)}' | dd of=/dev/port bs=1 seek=${at} count=1 conv=notrunc 2>/dev/null`;

export const ends: Category = {
  name: 'ends',
  about: 'panic, reset, power off and sleep from inside, also by the hardware’s ports; agents that lie about a sleep',
  attempts: [
    ending('a kernel panic', 'echo 1 >/proc/sys/kernel/sysrq; echo c >/proc/sysrq-trigger'),
    ending('a reset by the kernel', 'echo b >/proc/sysrq-trigger'),
    ending('a reset by the chipset’s port', port(0xcf9, 6)),
    ending('a reset by the keyboard controller', port(0x64, 0xfe)),
    ending('power off', 'systemctl poweroff --force --force'),
    // Signals do not end it: systemd ignores them or stands still.
    ending('init ended', 'mount --bind /bin/true /lib/systemd/systemd && systemctl daemon-reexec'),
    {
      name: 'a machine that puts itself to sleep',
      run: (world) =>
        during(world, async () => {
          const machineId = await world.makeSpare();
          await world
            .exec(machineId, '(sleep 0.5; echo mem >/sys/power/state) >/dev/null 2>&1 & cat /sys/power/state')
            .catch(() => null);
          // Whatever it does to itself, the host can remove it.
          await new Promise((resolve) => setTimeout(resolve, 2_000));
          await world.remove(machineId);
          return { tried: true };
        }),
    },
    {
      name: 'a guest agent that answers lies, through a suspend and a resume',
      run: (world) =>
        during(world, async () => {
          const machineId = await world.makeSpare();
          await world.exec(machineId, LIAR);
          const [snapshotId, next] = [world.nextSnapshotId(), world.nextMachineId()];
          const suspended = await world.send('POST', `machines/${machineId}/suspend`, { lease: world.lease, snapshotId });
          if (suspended.status !== 200) {
            await world.remove(machineId);
            return { tried: true, through: suspended.status === 0 ? suspended.text : null, note: suspended.text.slice(0, 100) };
          }
          const woken = await world.send('PUT', `machines/${next}`, {
            lease: world.lease,
            source: { kind: 'resume', snapshotId },
            egress: world.policy,
          });
          const { status, text } = await world.send('GET', `machines/${next}`);
          await world.hostd.call('DELETE', `snapshots/${snapshotId}`);
          if (woken.status === 0) return { tried: true, through: woken.text };
          if (woken.status === 200) await world.remove(next);
          else if (status !== 404) return { tried: true, through: `half a machine is left: ${text}` };
          return { tried: true, note: `suspend ${suspended.status}, resume ${woken.status} ${woken.text.slice(0, 100)}` };
        }),
    },
  ],
  controls: [stoppedHostd],
};

/** Answers every request of hostd with its own number and a value of the wrong kind, among lines for others. */
const LIAR = `cat >/root/liar.py <<'END'
import os, re
f = os.open('/dev/virtio-ports/org.qemu.guest_agent.0', os.O_RDWR)
held = b''
while True:
  held += os.read(f, 4096)
  for number in re.findall(rb'"id":(\\d+)', held):
    os.write(f, b'{"return":"stale","id":1}\\n\\xff\\xfe\\n[[[[\\n{"return":{"pid":-1,"exited":true,"out-data":"%%%%","buf-b64":"AAAA"},"id":' + number + b'}\\n')
  held = held[-64:] if b'\\n' not in held else b''
END
systemctl stop warren-qga.service; setsid python3 /root/liar.py >/dev/null 2>&1 </dev/null & sleep 1`;
