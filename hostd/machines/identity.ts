import { randomBytes, randomUUID } from 'node:crypto';
import ssh2 from 'ssh2';
import { HostdError } from '../errors.ts';
import type { VmAgent } from '../hypervisor/driver.ts';

const DEADLINE_MS = 30_000;

/** Shell built-ins only, so that it is one process in the guest. Arguments: host name, machine id, host key, random bytes. */
const SCRIPT = `set -e
printf '%s\\n' "$1" >/etc/hostname
printf '%s' "$1" >/proc/sys/kernel/hostname
printf '127.0.0.1 localhost %s\\n' "$1" >/etc/hosts
[ -z "$2" ] && exit 0
printf '%s\\n' "$2" >/etc/machine-id
umask 077
printf '%s' "$3" >/etc/warren/ssh_host_ed25519_key
printf '%s' "$4" >/dev/urandom`;

/** Gives a machine its host name. */
export async function setHostname(agent: VmAgent, hostname: string): Promise<void> {
  await runScript(agent, [hostname, '']);
}

/**
 * Makes a fork another machine than its siblings: machine id, host name, SSH host key, and fresh randomness beside what the
 * kernel takes from the new VM generation id. The sshd that already waits keeps the old key for its one connection; the
 * port is private, so the key proves nothing there.
 */
export async function replaceIdentity(agent: VmAgent, hostname: string): Promise<void> {
  const key = ssh2.utils.generateKeyPairSync('ed25519');
  await runScript(agent, [hostname, randomUUID().replaceAll('-', ''), key.private, randomBytes(64).toString('hex')]);
}

async function runScript(agent: VmAgent, args: string[]): Promise<void> {
  const { exitCode, stderr } = await agent.exec(['sh', '-c', SCRIPT, 'identity', ...args], { timeoutMs: DEADLINE_MS });
  if (exitCode === 0) return;
  throw new HostdError('internal', { message: 'the guest’s identity could not be set', phase: 'guest.identity', tail: stderr });
}
