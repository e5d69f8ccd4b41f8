/*
 * The scripted model is a set of scripts, not a model. A script is a generator: it yields what to run next, is given what
 * the command really printed, and returns the closing text of its turn. Because it is deterministic, the state of a turn
 * is nothing but the conversation so far: `nextAction` replays it.
 */
export type CommandResult = { exitCode: number | null; output: string };
/** Something to run, and what to say about it first. */
export type Step = { say: string; run: string };
export type Script = Generator<Step, string, CommandResult>;

/** A part of a script: null when it went well, else the closing text. */
export type ScriptPart = Generator<Step, string | null, CommandResult>;

export type ExecutedCommand = { command: string; result: CommandResult };

export type Action = { kind: 'run'; say: string; command: string } | { kind: 'end'; say: string };

const STEPS_MAX = 40;

/** What the script does after the commands of this turn: pure, and never longer than STEPS_MAX. */
export function nextAction(script: Script, executed: readonly ExecutedCommand[]): Action {
  if (executed.length > STEPS_MAX)
    return { kind: 'end', say: `I have run ${executed.length} commands without getting there. I stop here.` };
  let step = script.next({ exitCode: 0, output: '' });
  for (const { command, result } of executed) {
    if (step.done) break;
    if (step.value.run !== command) {
      return { kind: 'end', say: 'The conversation does not match my script, so I do not know what has been done. I stop here.' };
    }
    step = script.next(result);
  }
  if (step.done) return { kind: 'end', say: step.value };
  return { kind: 'run', say: step.value.say, command: step.value.run };
}

/** The last lines of an output, for quoting. */
export function tail(output: string, lines = 12): string {
  return output.trimEnd().split('\n').slice(-lines).join('\n');
}
