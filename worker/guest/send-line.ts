import { GUEST } from '../../hostd/contract/machines.ts';
import type { Guest } from './run-script.ts';
import { runScript } from './run-script.ts';

/*
 * A worker may die between asking for a write to the agent's FIFO and learning that it was done, and a prompt that is
 * written twice is done twice. So the guest remembers: the link to the line's key is made first, by one atomic call, and
 * whoever asks again finds it. Asking again is therefore always safe, and recovery does nothing else. The memory is on
 * tmpfs like the FIFO itself: a snapshot carries both, a cold boot forgets both, and then open turns are over anyway.
 *
 * What remains: the script being killed between the link and the write (a guest crash, which ends the agent too), or a
 * full FIFO that nobody reads; both show as a turn without an answer and end by the hang rule.
 */
const SEND = `
set -eu
dir=/run/warren/sent
mkdir -p "$dir"
cat > "$dir/$1.$$"
if ln "$dir/$1.$$" "$dir/$1" 2>/dev/null; then
  rm "$dir/$1.$$"
  cat "$dir/$1" > ${GUEST.agentStdin}
  : > "$dir/$1"
  echo written
else
  rm "$dir/$1.$$"
  echo already
fi
`;

/** Writes one line to the agent's stdin, at most once per key for the life of this boot. */
export async function sendLine(guest: Guest, key: string, line: string): Promise<'written' | 'already'> {
  const answer = await runScript(guest, 'send-line', SEND, { args: [key], stdin: `${line}\n`, user: 'root' });
  return answer.trim() === 'already' ? 'already' : 'written';
}
