import { mkdir, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { QemuGuestAgent } from '../../hostd/hypervisor/qemu/guest-agent.ts';
import { cpuArgument } from '../../hostd/hypervisor/qemu/platform.ts';
import { fillMemory } from '../guest/prepare.ts';
import { proveAwake, proveBooted, type RunInGuest, renewSecret } from '../guest/verifier.ts';
import type { Side, SleepTimes, WakeTimes } from '../side.ts';
import { LibvirtDaemon } from './libvirt-daemon.ts';
import { makeDisk, type PlainGuest } from './loadvm.ts';

const DOMAIN = 'warren-bench';
const BOOT_DEADLINE_MS = 5 * 60_000;

/** As JSON, like libvirt's own: QEMU makes devices that are given as words before those, and then there is no bus to be on yet. */
const AGENT_PORT = JSON.stringify({
  ...{ driver: 'virtserialport', bus: 'virtio-serial0.0', chardev: 'benchagent' },
  ...{ id: 'benchagent0', name: 'org.qemu.guest_agent.0' },
});

/** The hardware that hostd gives, as libvirt says it. The agent's port is ours: libvirt would keep it to itself. */
export function domainXml(guest: PlainGuest, disk: string, agentSocket: string): string {
  const { platform, size, kernel, initrd, append } = guest;
  const model = cpuArgument(platform.cpuModel);
  const cpu =
    model === 'host'
      ? "<cpu mode='host-passthrough'/>"
      : `<cpu mode='custom' match='exact' check='none'><model fallback='allow'>${model}</model></cpu>`;
  return `<domain type='${platform.accelerator === 'tcg' ? 'qemu' : 'kvm'}' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>${DOMAIN}</name>
  <uuid>5ab19c60-7e4c-4f8e-9c46-9f4a2d6d1c11</uuid>
  <genid/>
  <memory unit='MiB'>${size.memoryMiB}</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='${platform.machineType}'>hvm</type>
    <kernel>${kernel}</kernel><initrd>${initrd}</initrd><cmdline>${append}</cmdline></os>
  <features><acpi/></features>
  ${cpu}
  <clock offset='utc'/>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'><driver name='qemu' type='qcow2' cache='writeback' discard='unmap'/>
      <source file='${disk}'/><target dev='vda' bus='virtio'/></disk>
    <controller type='usb' model='none'/>
    <controller type='virtio-serial' index='0'/>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
    <memballoon model='none'/>
  </devices>
  <qemu:commandline>
    <qemu:arg value='-chardev'/><qemu:arg value='socket,id=benchagent,path=${agentSocket},server=on,wait=off'/>
    <qemu:arg value='-device'/><qemu:arg value='${AGENT_PORT}'/>
  </qemu:commandline>
</domain>
`;
}

/** libvirt's `managedsave` and `start`, with its defaults. */
export class LibvirtSide implements Side {
  readonly name = 'libvirt';
  readonly #guest: PlainGuest;
  readonly #daemon: LibvirtDaemon;
  readonly #agentSocket: string;
  #agent: QemuGuestAgent | null = null;
  #secret = '';

  private constructor(guest: PlainGuest, daemon: LibvirtDaemon) {
    this.#guest = guest;
    this.#daemon = daemon;
    this.#agentSocket = path.join(guest.socketDir, 'agent');
  }

  /** @param name of its files, which are kept for further runs */
  static async open(guest: PlainGuest, name: string): Promise<LibvirtSide> {
    await mkdir(guest.socketDir, { recursive: true, mode: 0o700 });
    const dir = path.join(guest.filesDir, name);
    const daemon = await LibvirtDaemon.start(dir, path.join(guest.socketDir, 'd'));
    const side = new LibvirtSide(guest, daemon);
    try {
      await side.#prepare(dir);
      return side;
    } catch (error) {
      await side.close();
      throw error;
    }
  }

  async #prepare(dir: string): Promise<void> {
    // A domain that an interrupted run left.
    await this.#daemon.virsh('destroy', DOMAIN).catch(() => undefined);
    if (await this.#daemon.isSaved(DOMAIN)) {
      await this.#start();
      return void (await this.sleep());
    }
    await this.#daemon.virsh('undefine', DOMAIN).catch(() => undefined);
    const disk = await makeDisk(this.#guest, path.join(path.basename(dir), 'disk'));
    const xml = path.join(this.#guest.socketDir, 'domain.xml');
    await writeFile(xml, domainXml(this.#guest, disk, this.#agentSocket));
    await this.#daemon.virsh('define', xml);
    const guest = await this.#start();
    await proveBooted(guest);
    await fillMemory(guest, this.#guest.size);
    await this.sleep();
  }

  async #start(): Promise<RunInGuest> {
    await this.#daemon.virsh('start', DOMAIN);
    const agent = await QemuGuestAgent.connect(this.#agentSocket);
    this.#agent = agent;
    return this.#run(agent);
  }

  #run(agent: QemuGuestAgent): RunInGuest {
    return async (argv, options) => {
      await agent.ping(BOOT_DEADLINE_MS);
      const done = await agent.exec(argv, { timeoutMs: options?.timeoutMs ?? 60_000 });
      if (done.exitCode === 0) return done.stdout;
      throw new Error(`${argv.join(' ')} ended with ${done.exitCode} under libvirt: ${done.stderr.slice(-2000)}`);
    };
  }

  async sleep(): Promise<SleepTimes> {
    const agent = this.#agent;
    if (!agent) throw new Error('the peer sleeps');
    this.#secret = await renewSecret(this.#run(agent));
    agent.close();
    this.#agent = null;
    const pid = await this.#daemon.pidOf(DOMAIN);
    const startedAt = performance.now();
    await this.#daemon.virsh('managedsave', DOMAIN);
    // It says that it is done when it has asked QEMU to end; what counts is that the memory is the host's again.
    while (
      await stat(`/proc/${pid}`).then(
        () => true,
        () => false,
      )
    )
      await new Promise((resolve) => setTimeout(resolve, 1));
    return { releasedMs: performance.now() - startedAt };
  }

  async wake(): Promise<WakeTimes> {
    const startedAt = performance.now();
    const guest = await this.#start();
    const saidDoneMs = performance.now() - startedAt;
    await proveAwake(guest, this.#secret);
    return { replyMs: performance.now() - startedAt, saidDoneMs };
  }

  async close(): Promise<void> {
    this.#agent?.close();
    await this.#daemon.virsh('destroy', DOMAIN).catch(() => undefined);
    await this.#daemon.stop();
    await rm(this.#guest.socketDir, { recursive: true, force: true });
  }
}
