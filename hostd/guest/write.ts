import type { Client } from 'ssh2';
import { HostdError } from '../errors.ts';
import type { GuestUser } from './command.ts';
import { execInGuest } from './exec.ts';

const DEADLINE_MS = 30_000;

/**
 * Both scripts take in everything first and check its size, so that a connection lost half-way leaves the file as it was.
 * $1 path, $2 bytes.
 */
const SCRIPTS = {
  // Also for FIFOs: one writer, one open, and the reader sees the whole or nothing.
  append: 't=$(mktemp) || exit; trap \'rm -f "$t"\' EXIT; cat >"$t" && [ "$(wc -c <"$t")" -eq "$2" ] && cat "$t" >>"$1"',
  // Renamed over the old file, which keeps its mode; a link keeps pointing where it did.
  replace: `p=$(readlink -f -- "$1") || exit
t=$(mktemp -- "$p.XXXXXX") || exit; trap 'rm -f "$t"' EXIT
cat >"$t" && [ "$(wc -c <"$t")" -eq "$2" ] || exit
if [ -e "$p" ]; then chmod --reference="$p" "$t"; else chmod 644 "$t"; fi
[ ! -d "$p" ] && mv -f -- "$t" "$p"`,
} as const;

export type WriteRequest = { path: string; bytes: Buffer; mode: 'append' | 'replace'; user: GuestUser };

/** Writes to a file or FIFO of the guest. Rejects with `conflict` (its tail holds the guest's words), `timeout` or `guest_unreachable`. */
export async function writeInGuest(client: Client, { path, bytes, mode, user }: WriteRequest): Promise<void> {
  const argv = ['sh', '-c', SCRIPTS[mode], 'warren-write', path, String(bytes.length)];
  const result = await execInGuest(client, { argv, user, cwd: '/', timeoutMs: DEADLINE_MS, stdin: bytes });
  if (result.exitCode === 0) return;
  const phase = 'guest.write';
  if (result.timedOut) throw new HostdError('timeout', { message: `nothing read ${path} within ${DEADLINE_MS} ms`, phase });
  throw new HostdError('conflict', { message: `${path} was not written`, phase, tail: result.stderr });
}
