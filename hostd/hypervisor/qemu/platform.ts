import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import type { Accelerator } from '../../contract/machines.ts';
import { HostdError } from '../../errors.ts';
import { isErrno } from '../../storage/files.ts';
import type { Platform } from '../driver.ts';

const run = promisify(execFile);
export const QEMU = 'qemu-system-x86_64';
/** Complete enough for current distributions and languages; `max` makes emulated boots hang at random. */
const TCG_CPU = 'EPYC';

/** QEMU's version and the versioned name of its current q35 machine. @throws `missing_dependency` when it is not installed */
export async function qemuFacts(): Promise<{ version: string; machineType: string }> {
  try {
    const [version, machines] = await Promise.all([run(QEMU, ['--version']), run(QEMU, ['-machine', 'help'])]);
    const found = /version (\S+)/.exec(version.stdout)?.[1];
    const machineType = /^q35 .*\(alias of (\S+)\)/m.exec(machines.stdout)?.[1];
    if (found === undefined || machineType === undefined) throw new Error('its version or its q35 machine could not be read');
    return { version: found, machineType };
  } catch (cause) {
    const why = isErrno(cause, 'ENOENT')
      ? 'is not installed'
      : `does not work (${cause instanceof Error ? cause.message : cause})`;
    throw new HostdError('missing_dependency', {
      message: `${QEMU} ${why}: apt-get install qemu-system-x86`,
      phase: 'qemu.version',
      cause,
    });
  }
}

/** What machines on this host are made of. Under KVM the guest sees the host's own CPU, whose model becomes part of the name. */
export async function currentPlatform(accelerator: Accelerator): Promise<Platform> {
  const { version, machineType } = await qemuFacts();
  const cpuModel = accelerator === 'tcg' ? TCG_CPU : `host:${await hostCpu()}`;
  return { accelerator, qemuVersion: version, machineType, cpuModel };
}

/** QEMU's name for the CPU model of a platform. */
export function cpuArgument(cpuModel: string): string {
  return cpuModel.startsWith('host:') ? 'host' : cpuModel;
}

async function hostCpu(): Promise<string> {
  const text = await readFile('/proc/cpuinfo', 'utf8');
  return /^model name\s*: (.*)$/m.exec(text)?.[1]?.trim() ?? 'unknown';
}
