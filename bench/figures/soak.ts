import { randomBytes } from 'node:crypto';
import type { Figures } from '../goals.ts';
import { newLease, WORKLOAD } from '../guest/prepare.ts';
import { checkAndDraw, Mismatch, proveAwake, type RunInGuest } from '../guest/verifier.ts';
import { type Hostd, NO_EGRESS } from '../hostd.ts';
import type { WarrenSide } from '../warren-side.ts';

/** In the first of so many cycles the sleeping machine goes to the other host, and in the last one it is also forked, twice. */
const ROUND = 25;
/** A guest that says nothing for longer hangs; on a busy computer one takes its time. */
const HANG_MS = 300_000;
const DISTINCT = 'cat /etc/machine-id; sha256sum </etc/warren/ssh_host_ed25519_key';

export type SoakResult = {
  figures: Figures;
  /** What went wrong, in order, with the cycle it went wrong in. */
  failures: string[];
  forks: number;
  moves: number;
  /** Copies of the one half-done turn that ended as they should. */
  turns: number;
  samples: { replyMs: number[]; releasedMs: number[] };
};

type Options = { cycles: number; subject: WarrenSide; other: Hostd; note: (line: string) => void; interrupted: AbortSignal };

/**
 * Suspends and resumes one machine over and over. After each wake-up its secret, every page that its verifier holds and a random
 * value are looked at. Once in a round it moves to `other` or back, and is forked; then everything else that a suspend must not
 * change is compared with what it was before the first one, in the machine and in its forks: disk tree, processes and their start
 * times, the open and locked file, the listening port, the terminal's screen, and an agent that is in the middle of a turn the
 * whole time. Each fork ends its own copy of that turn, and at last the machine does. Random values must never come twice.
 */
export async function soak({ cycles, subject, other, note, interrupted }: Options): Promise<SoakResult> {
  const failures: string[] = [];
  const counts = { mismatches: 0, hangs: 0, duplicates: 0 };
  const samples = { replyMs: [] as number[], releasedMs: [] as number[] };
  const [seen, identities] = [new Set<string>(), new Set<string>()];
  const verify = async (guest: RunInGuest) => {
    const value = await checkAndDraw(guest);
    if (seen.has(value)) counts.duplicates += 1;
    seen.add(value);
  };
  await subject.wake();
  await subject.guest(['sh', WORKLOAD, 'turn'], { timeoutMs: HANG_MS });
  const before = await stateOf(subject.guest);
  requireComplete(before);
  await verify(subject.guest);

  const home = subject.hostd;
  let [done, forks, moves, turns] = [0, 0, 0, 0];
  const verifyWhole = async (guest: RunInGuest) => {
    await requireSame(guest, before);
    await verify(guest);
  };
  const endTurn = async (guest: RunInGuest) => {
    await requireTurnEnds(guest);
    turns += 1;
  };
  for (; done < cycles; done += 1) {
    note(`cycle ${done + 1} of ${cycles}, ${failures.length} failures`);
    const [isFirst, isLast] = [done % ROUND === 0, done % ROUND === ROUND - 1 || done === cycles - 1];
    try {
      samples.releasedMs.push((await subject.sleep({ isUsed: isFirst || isLast })).releasedMs);
      if (isFirst) {
        await subject.moveTo(subject.hostd === home ? other : home);
        moves += 1;
      }
      if (isLast) {
        await forkTwice(subject, async (guest) => {
          await requireDistinct(guest, identities);
          await verifyWhole(guest);
          await endTurn(guest);
          forks += 1;
        });
      }
      samples.replyMs.push((await subject.wake()).replyMs);
      await (isFirst || isLast ? verifyWhole : verify)(subject.guest);
      if (done === cycles - 1) await endTurn(subject.guest);
    } catch (error) {
      // The machine is being taken away from under it.
      if (interrupted.aborted) break;
      const message = error instanceof Error ? error.message : String(error);
      counts[error instanceof Mismatch ? 'mismatches' : 'hangs'] += 1;
      failures.push(`cycle ${done + 1}: ${message}`);
      // A machine that does not come back cannot be put to sleep again; what was counted so far stands.
      if (!(error instanceof Mismatch)) break;
    }
  }
  return {
    figures: {
      'soak.cycles': done,
      'soak.mismatches': counts.mismatches,
      'soak.hangs': counts.hangs,
      'soak.duplicates': counts.duplicates,
    },
    failures,
    forks,
    moves,
    turns,
    samples,
  };
}

function stateOf(guest: RunInGuest): Promise<string> {
  return guest(['sh', WORKLOAD, 'state'], { timeoutMs: HANG_MS });
}

/** A check that finds nothing to compare proves nothing. */
function requireComplete(state: string): void {
  for (const part of [
    'boot ',
    'verifier serve: ',
    'holder.mjs: ',
    'tmux new-session: ',
    'held at ',
    'lock held',
    'listens on 4599',
    'codex-acp: ',
    'read -r typed: ',
    'half-done turn ',
    'screen ',
    'tree ',
  ]) {
    if (!state.split('\n').some((line) => line.startsWith(part)))
      throw new Error(`the guest's state is not whole: ${state}\nIt lacks "${part.trim()}".`);
  }
}

async function requireSame(guest: RunInGuest, before: string): Promise<void> {
  const after = await stateOf(guest);
  if (after !== before) throw new Mismatch(`the guest's state is not what it was: ${firstDifference(before, after)}`);
}

function firstDifference(before: string, after: string): string {
  const lines = after.split('\n');
  const at = before.split('\n').findIndex((line, index) => line !== lines[index]);
  return `${JSON.stringify(before.split('\n')[at])} became ${JSON.stringify(lines[at])}`;
}

/** What the agent says must be made of a line that nobody knew before the guest woke. */
async function requireTurnEnds(guest: RunInGuest): Promise<void> {
  const line = randomBytes(8).toString('hex');
  const said = (await guest(['sh', WORKLOAD, 'finish', line], { timeoutMs: HANG_MS })).trim();
  const expected = `end_turn: Half of this was said before ${line}. The terminal said: It was typed: ${line}.`;
  if (said !== expected) throw new Mismatch(`the agent's turn ended with ${JSON.stringify(said)}`);
}

/** @param identities of all forks before it */
async function requireDistinct(guest: RunInGuest, identities: Set<string>): Promise<void> {
  for (const line of (await guest(['sh', '-c', DISTINCT])).trim().split('\n')) {
    if (identities.has(line)) throw new Mismatch(`two forks share ${line}`);
    identities.add(line);
  }
}

async function forkTwice(subject: WarrenSide, verifyFork: (guest: RunInGuest) => Promise<void>): Promise<void> {
  const ids = ['mch_benchtwin0001', 'mch_benchtwin0002'];
  const lease = newLease();
  const { hostd } = subject;
  const { snapshotId, secret } = subject.asleep;
  try {
    for (const machineId of ids) {
      await hostd.client.create(machineId, { lease, source: { kind: 'fork', snapshotId }, egress: NO_EGRESS });
      const guest = hostd.guest(machineId);
      await proveAwake(guest, secret);
      await verifyFork(guest);
    }
  } finally {
    for (const machineId of ids) await hostd.client.remove(machineId, lease).catch(() => undefined);
  }
}
