import { expectPass, fence, publish } from './publish.ts';
import { repairTests } from './repair-tests.ts';
import { type CommandResult, type Script, tail } from './script.ts';
import { enclosingFunction, indentOf, patchCommand } from './source.ts';

export type TypeFailure = { path: string; line: number; code: string; message: string };

/** The first error in what `tsc` printed, in either of its formats. */
export function parseTypeFailure(output: string): TypeFailure | null {
  const match = /^(\S+?)(?:\((\d+),\d+\)|:(\d+):\d+)(?::| -) error (TS\d+): (.+?)\s*$/m.exec(output);
  if (!match) return null;
  return { path: match[1] ?? '', line: Number(match[2] ?? match[3]), code: match[4] ?? '', message: match[5] ?? '' };
}

/** The commands of the failed checks, as the message about them names them. */
export function failedCommands(prompt: string): string[] {
  return [...prompt.matchAll(/^Command: (.+)$/gm)].map((match) => (match[1] ?? '').trim());
}

/** Runs what failed, reads the real output and repairs what it understands. */
export function* repairCheck(prompt: string): Script {
  const [command] = failedCommands(prompt);
  if (!command) return 'The message names no command of a failed check, so I cannot run it here. I changed nothing.';
  const failed = yield { say: `I run the failed check here: \`${command}\`.`, run: command };
  if (failed.exitCode === 0) return `\`${command}\` passes here, so I cannot see what failed. I changed nothing.`;
  const failure = parseTypeFailure(failed.output);
  if (!failure) return yield* repairTests(command, failed);
  return yield* repairTypes(command, failure, failed);
}

function* repairTypes(command: string, failure: TypeFailure, failed: CommandResult): Script {
  const variable = failure.code === 'TS18048' ? /^'(\w+)' is possibly 'undefined'/.exec(failure.message)?.[1] : undefined;
  if (!variable) {
    return `${failure.path}:${failure.line} has ${failure.code} (${failure.message}). My script repairs only “possibly undefined”. I changed nothing.\n\n${fence(tail(failed.output))}`;
  }
  const shown = yield {
    say: `${failure.path}:${failure.line}: ${failure.message} I read the file.`,
    run: `cat '${failure.path}'`,
  };
  const lines = shown.output.trimEnd().split('\n');
  const target = lines[failure.line - 1];
  if (shown.exitCode !== 0 || target === undefined) return `I could not read ${failure.path}, so I changed nothing.`;
  const returns = enclosingFunction(lines, failure.line)?.returns ?? null;
  const guard = `${indentOf(target)}if (!${variable}) ${guardFor(returns, variable)}`;
  const applied = yield {
    say: `\`${variable}\` may be missing there, and nothing deals with that case. I add it: \`${guard.trim()}\``,
    run: patchCommand(failure.path, lines, failure.line, failure.line - 1, [guard]),
  };
  if (applied.exitCode !== 0) return `My edit of ${failure.path} could not be applied:\n\n${fence(tail(applied.output))}`;
  const trouble =
    (yield* expectPass(command, 'I run the check again.')) ??
    (yield* expectPass('npm test', 'The tests, too.')) ??
    (yield* publish(`Handle a missing ${variable}`));
  return (
    trouble ??
    `\`${command}\` passes now: \`${variable}\` may be undefined in \`${failure.path}\`, and that case is handled. The tests still pass; the fix is pushed.`
  );
}

function guardFor(returns: string | null, variable: string): string {
  if (returns === 'number') return 'return 0;';
  if (returns === 'string') return "return '';";
  if (returns === 'boolean') return 'return false;';
  return `throw new Error('there is no ${variable}');`;
}
