import type { Attempt, Category, HostAttempt, Outcome, Phase, ProbeAttempt } from './attempt.ts';
import { installProbes, runProbes } from './run-probes.ts';
import type { World } from './world.ts';

const NOTE_CHARS_MAX = 300;
/** Attempts that drive hostd's API at a time. */
const TOGETHER = 4;
/** Nothing that an attempt waits for takes as long. */
const ATTEMPT_MS_MAX = 300_000;

function isProbe(attempt: Attempt): attempt is ProbeAttempt {
  return 'probe' in attempt;
}

/** A guest chooses these texts, and people read them in terminals. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]+/g, ' ').slice(0, NOTE_CHARS_MAX);
}

type Row = { category: string; attempt: Attempt; control: boolean };

/** Every attempt of these categories once, from the machine that attacks now. */
export async function runCategories(
  world: World,
  categories: readonly Category[],
  tell: (outcome: Outcome) => void = () => {},
): Promise<Outcome[]> {
  const rows: Row[] = categories.flatMap(({ name, attempts, controls }) => [
    ...controls.map((attempt) => ({ category: name, attempt, control: true })),
    ...attempts.map((attempt) => ({ category: name, attempt, control: false })),
  ]);
  const outcomes: Outcome[] = [];
  const note = (row: Row, phase: Phase | 'host', tried: boolean, through: string | null, text: string) => {
    const verdict = !tried ? 'not tried' : through === null ? 'held' : 'through';
    const { category, attempt, control } = row;
    const outcome = { category, name: attempt.name, phase, control, verdict, note: printable(text) } as const;
    outcomes.push(outcome);
    tell(outcome);
  };

  const probes = rows.filter((row) => isProbe(row.attempt));
  if (probes.length > 0) await installProbes(world);
  // A category without any may have put the attacker to sleep, and then nobody is there to be asked.
  const attempts = probes.map((row) => row.attempt as ProbeAttempt);
  const probed = attempts.length > 0 ? await runProbes(world, attempts) : [];
  for (const [at, { attempt, token, reply }] of probed.entries()) {
    const through = world.seen(token, reply) ?? attempt.through?.(reply, world, token) ?? null;
    note(probes[at]!, world.phase, reply.tried, through, through ?? reply.text);
  }
  const drive = async (row: Row) => {
    const attempt = row.attempt as HostAttempt;
    const late = new Promise<Awaited<ReturnType<HostAttempt['run']>>>((resolve) => {
      const answer = { tried: false, through: null, note: `it did not end within ${ATTEMPT_MS_MAX} ms` };
      setTimeout(resolve, ATTEMPT_MS_MAX, answer).unref();
    });
    const ended = await Promise.race([attempt.run(world), late]).catch((cause: unknown) => ({
      tried: false,
      through: null,
      note: String(cause),
    }));
    const { tried, through, note: text } = ended;
    note(row, world.phase, tried, through, through ?? text ?? '');
  };
  const driven = rows.filter((row) => !isProbe(row.attempt));
  const together = driven.filter((row) => !(row.attempt as HostAttempt).alone);
  await Promise.all(
    Array.from({ length: TOGETHER }, async () => {
      for (let row = together.shift(); row; row = together.shift()) await drive(row);
    }),
  );
  for (const row of driven.filter((one) => (one.attempt as HostAttempt).alone)) await drive(row);
  return outcomes;
}
