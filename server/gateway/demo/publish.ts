import { type ScriptPart, tail } from './script.ts';

/** Commits and pushes. Returns null when the branch is on its way, else what went wrong. */
export function* publish(subject: string): ScriptPart {
  const { exitCode, output } = yield {
    say: 'I commit this and push the branch.',
    run: `git add -A && git commit -q -m '${subject.replaceAll("'", '’')}' && git push -u origin HEAD 2>&1`,
  };
  return exitCode === 0 ? null : `The commit or the push failed, so nothing new is up for review:\n\n${fence(tail(output))}`;
}

export function fence(text: string): string {
  return `\`\`\`\n${text}\n\`\`\``;
}

/** Runs a command that is expected to pass now. Returns null when it does. */
export function* expectPass(command: string, say: string): ScriptPart {
  const { exitCode, output } = yield { say, run: command };
  if (exitCode === 0) return null;
  return `\`${command}\` still fails after my edit, and I know no second way to repair it:\n\n${fence(tail(output))}`;
}
