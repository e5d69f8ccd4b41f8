import type { SnapshotManifest } from '../contract/machines.ts';
import type { VmAgent } from '../hypervisor/driver.ts';

const ROWS_MAX = 200;
const COMMAND_CHARS_MAX = 200;
const USER_CHARS_MAX = 32;
const LISTEN = '0A';

/** Four programs in all: every one costs tens of milliseconds under emulation. */
const SCRIPT = [
  'cat /proc/[0-9]*/stat',
  `echo '#commands'; head -v -c ${COMMAND_CHARS_MAX} /proc/[0-9]*/cmdline; echo`,
  "echo '#owners'; stat -c '%u %n' /proc/[0-9]*",
  "echo '#files'; cat /proc/net/tcp /proc/net/tcp6 /etc/passwd",
].join('; ');

export type Inventory = Pick<SnapshotManifest, 'processes' | 'listening'>;
type Known = { [K in keyof Inventory]: NonNullable<Inventory[K]> };

/** Unknown, which is not the same as nothing. */
const UNKNOWN: Inventory = { processes: null, listening: null };

/** What runs and listens in the guest. Unknown when it does not say within the deadline: a suspend does not wait for it. */
export async function inspectGuest(agent: VmAgent, deadlineMs: number): Promise<Inventory> {
  try {
    const { stdout } = await agent.exec(['sh', '-c', `{ ${SCRIPT}; } 2>/dev/null`], { timeoutMs: deadlineMs });
    const inventory = parseInventory(stdout);
    // Process 1 always runs: an answer without it is none.
    return inventory.processes.length === 0 ? UNKNOWN : inventory;
  } catch {
    return UNKNOWN;
  }
}

/** Reads the script's output. It is the guest's word: anything that does not fit is left out. */
export function parseInventory(text: string): Known {
  const [stats = '', commands = '', owners = '', files = ''] = text.split(/^#(?:commands|owners|files)$/m);
  const names = new Map(
    matches(files, /^([^:\n]+):[^:]*:(\d+):/gm).map(([, name, uid]) => [uid, printable(name ?? '', USER_CHARS_MAX)]),
  );
  const users = new Map(matches(owners, /^(\d+) \/proc\/(\d+)$/gm).map(([, uid, pid]) => [pid, names.get(uid) ?? uid]));
  const argv = new Map(
    matches(commands, /^==> \/proc\/(\d+)\/cmdline <==\n([^\n]*)/gm).map(([, pid, line]) => [pid, commandOf(line ?? '')]),
  );
  const processes = stats.split('\n').flatMap((line) => {
    const pid = /^(\d{1,10}) \(/.exec(line)?.[1];
    const startTimeTicks = line.slice(line.lastIndexOf(')') + 2).split(' ')[19];
    const command = pid === undefined ? undefined : argv.get(pid);
    // Kernel threads have no command line; the script's own programs are of no interest.
    if (pid === undefined || !command || !/^\d{1,20}$/.test(startTimeTicks ?? '') || command.includes('#commands')) return [];
    return [{ pid: Number(pid), startTimeTicks: startTimeTicks!, user: users.get(pid) ?? '?', command }];
  });
  const listening = new Set(
    matches(files, /^ *\d+: [0-9A-F]+:([0-9A-F]{4}) [0-9A-F:]+ ([0-9A-F]{2}) /gm)
      .filter(([, , state]) => state === LISTEN)
      .map(([, port]) => Number.parseInt(port ?? '', 16)),
  );
  return { processes: processes.slice(0, ROWS_MAX), listening: [...listening].sort((a, b) => a - b) };
}

function matches(text: string, pattern: RegExp): RegExpMatchArray[] {
  return [...text.matchAll(pattern)];
}

function commandOf(line: string): string {
  return printable(line.replaceAll('\0', ' ').trim(), COMMAND_CHARS_MAX);
}

/** People read these in pages and terminals, where control characters would do things. */
function printable(text: string, max: number): string {
  return text.slice(0, max).replace(/\p{C}/gu, '?');
}
