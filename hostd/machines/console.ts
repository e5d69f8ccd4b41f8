import { appendFile, open, stat, writeFile } from 'node:fs/promises';
import { CONSOLE_BYTES_MAX } from '../contract/machines.ts';
import type { Vm } from '../hypervisor/driver.ts';
import type { MachineFiles } from '../storage/layout.ts';

const QEMU_LOG_BYTES_MAX = 1024 * 1024;

/** Moves what the guest printed from QEMU's ring into the machine's console file, of which only the end is kept. */
export async function collectConsole(vm: Vm, files: MachineFiles): Promise<void> {
  const text = await vm.drainConsole();
  if (text === '') return;
  await appendFile(files.console, text, { mode: 0o600 });
  if ((await stat(files.console)).size > 2 * CONSOLE_BYTES_MAX)
    await writeFile(files.console, await lastBytes(files.console), { mode: 0o600 });
}

/**
 * The last CONSOLE_BYTES_MAX bytes without control characters but line ends and tabs, because people read them in terminals and
 * a guest would move their cursors and set their titles. Empty when the guest printed nothing.
 */
export async function readConsole(files: MachineFiles): Promise<string> {
  return plainText((await lastBytes(files.console)).toString('utf8'));
}

export function plainText(text: string): string {
  return text.replace(/[^\P{Cc}\n\t]/gu, '');
}

async function lastBytes(file: string): Promise<Buffer> {
  const size = await stat(file).then(
    (found) => found.size,
    () => 0,
  );
  if (size === 0) return Buffer.alloc(0);
  const start = Math.max(0, size - CONSOLE_BYTES_MAX);
  const handle = await open(file, 'r');
  try {
    const { buffer, bytesRead } = await handle.read({ buffer: Buffer.alloc(size - start), position: start });
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

/** A guest that makes QEMU complain over and over must not fill the disk. QEMU appends, so it goes on at the start. */
export async function capQemuLog(files: MachineFiles): Promise<void> {
  const size = await stat(files.qemuLog).then(
    (found) => found.size,
    () => 0,
  );
  if (size <= QEMU_LOG_BYTES_MAX) return;
  const handle = await open(files.qemuLog, 'r+');
  await handle.truncate(0).finally(() => handle.close());
}
