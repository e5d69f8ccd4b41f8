import { z } from 'zod';
import { GUEST } from '../../hostd/contract/machines.ts';
import type { Guest } from './run-script.ts';
import { runScript } from './run-script.ts';

/** Names a process for good within one boot: a pid alone may be given to another. */
export const agentProcessSchema = z.object({ pid: z.number().int(), startTimeTicks: z.string() });
export type AgentProcess = z.infer<typeof agentProcessSchema>;

export type AgentSighting = { bootId: string; process: AgentProcess | null };

// Field 22 of stat is the start time; the name before it, in parentheses, may hold spaces. Looking at the expected process
// first spares asking systemd, which costs more than all the rest in an emulated machine.
const SIGHTING = `
read -r boot < /proc/sys/kernel/random/boot_id
started() { read -r stat < "/proc/$1/stat" && set -- \${stat##*) } && echo "\${20}"; } 2>/dev/null
if [ -n "$1" ] && [ "$(started "$1")" = "$2" ]; then
  echo "$boot $1 $2"
  exit
fi
pid=$(systemctl show -p MainPID --value ${GUEST.agentUnit})
if [ "\${pid:-0}" -gt 0 ] && ticks=$(started "$pid"); then
  echo "$boot $pid $ticks"
else
  echo "$boot"
fi
`;

/**
 * What runs in the guest now, as the guest itself tells it: its boot id and the agent's process, null when it is not
 * running.
 * @param expected the process that should be there, which is quicker to confirm than to find
 */
export async function sightAgent(guest: Guest, expected: AgentProcess | null = null): Promise<AgentSighting> {
  const args = expected ? [String(expected.pid), expected.startTimeTicks] : ['', ''];
  // The first thing asked of a woken machine: it need not wait for SSH.
  const seen = await runScript(guest, 'sight-agent', SIGHTING, { args, user: 'root', network: false });
  const [bootId = '', pid, startTimeTicks] = seen.trim().split(' ');
  return { bootId, process: pid && startTimeTicks ? { pid: Number(pid), startTimeTicks } : null };
}

export function isSameProcess(a: AgentProcess | null, b: AgentProcess | null): boolean {
  return a !== null && b !== null && a.pid === b.pid && a.startTimeTicks === b.startTimeTicks;
}

/**
 * Starts the agent's unit anew. What it said before stays in its stdout file, so offsets go on; the newline ends whatever
 * line it died in, which would else swallow its first reply. Whatever else lies where its FIFO belongs would stop the unit.
 */
export async function restartAgent(guest: Guest): Promise<void> {
  const script = `systemctl stop ${GUEST.agentUnit}
    [ -p ${GUEST.agentStdin} ] || rm -rf ${GUEST.agentStdin}
    echo >> ${GUEST.agentStdout}; systemctl start ${GUEST.agentUnit}`;
  await runScript(guest, 'restart-agent', script, { user: 'root', timeoutMs: 120_000 });
}

/** Ends an agent that hears nothing any more, whatever it is stuck in. It stays ended, also through a sleep, until it is started again. */
export async function endAgent(guest: Guest): Promise<void> {
  const script = `systemctl kill --signal=SIGKILL ${GUEST.agentUnit}; systemctl stop ${GUEST.agentUnit}`;
  await runScript(guest, 'end-agent', script, { user: 'root' });
}

/** The end of the agent's stderr, for the person who is told that it failed. Empty when there is none. */
export async function agentStderrTail(guest: Guest): Promise<string> {
  return runScript(guest, 'agent-stderr', `tail -c 2000 ${GUEST.agentStderr}`, { user: 'root' }).catch(() => '');
}

/** Bytes in the agent's stdout file. */
export async function agentStdoutBytes(guest: Guest): Promise<number> {
  return Number(await runScript(guest, 'agent-stdout-bytes', `stat -c %s ${GUEST.agentStdout}`, { user: 'root' }));
}
