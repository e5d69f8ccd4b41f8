import { GUEST } from '../../hostd/contract/machines.ts';
import type { Guest } from './run-script.ts';
import { runScript } from './run-script.ts';

/*
 * A worker may die between asking for a write to the agent's FIFO and learning that it was done, and a prompt that is
 * written twice is done twice. So the guest remembers: the link to the line's key is made first, by one atomic call, and
 * whoever asks again finds it. Asking again is therefore always safe, and recovery does nothing else. The memory is on
 * tmpfs like the FIFO itself: a snapshot carries both, a cold boot forgets both, and then open turns are over anyway.
 * Where the FIFO is not (no agent was started since the boot), nothing is written: the shell would make a file in its place,
 * which reads as delivered and keeps the agent's unit from ever making the FIFO.
 *
 * What remains: the script being killed between the link and the write (a guest crash, which ends the agent too), or a
 * full FIFO that nobody reads; both show as a turn without an answer and end by the hang rule.
 */
export const sendScript = ({ sent, stdin }: { sent: string; stdin: string }) => `
set -eu
if [ ! -p ${stdin} ]; then
  echo 'the agent has no stdin: it was not started since the machine booted' >&2
  exit 1
fi
mkdir -p ${sent}
cat > "${sent}/$1.$$"
if ln "${sent}/$1.$$" "${sent}/$1" 2>/dev/null; then
  rm "${sent}/$1.$$"
  cat "${sent}/$1" > ${stdin}
  : > "${sent}/$1"
  echo written
else
  rm "${sent}/$1.$$"
  echo already
fi
`;

const SEND = sendScript({ sent: '/run/warren/sent', stdin: GUEST.agentStdin });

/** Writes one line to the agent's stdin, at most once per key for the life of this boot. */
export async function sendLine(guest: Guest, key: string, line: string): Promise<'written' | 'already'> {
  const answer = await runScript(guest, 'send-line', SEND, { args: [key], stdin: `${line}\n`, user: 'root' });
  return answer.trim() === 'already' ? 'already' : 'written';
}
