import { randomBytes, randomUUID } from 'node:crypto';
import type { VmAgent } from '../hypervisor/driver.ts';
import { newHostKey } from './host-key.ts';

/* Only files are written: starting a program in an emulated guest costs more than all of this. */

/** Gives a machine its host name. */
export async function setHostname(agent: VmAgent, hostname: string): Promise<void> {
  await agent.writeFile('/proc/sys/kernel/hostname', hostname);
  await agent.writeFile('/etc/hostname', `${hostname}\n`);
  await agent.writeFile('/etc/hosts', `127.0.0.1 localhost ${hostname}\n`);
}

/**
 * Makes a fork another machine than its siblings: machine id, host name, SSH host key, and fresh randomness beside what the
 * kernel takes from the new VM generation id. The sshd that already waits keeps the old key for its one connection; the
 * port is private, so the key proves nothing there.
 */
export async function replaceIdentity(agent: VmAgent, hostname: string): Promise<void> {
  await agent.writeFile('/dev/urandom', randomBytes(64).toString('hex'));
  await agent.writeFile('/etc/machine-id', `${randomUUID().replaceAll('-', '')}\n`);
  await agent.writeFile('/etc/warren/ssh_host_ed25519_key', newHostKey());
  await setHostname(agent, hostname);
}
