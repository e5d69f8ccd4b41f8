/*
 * What the agent is told when checks failed. The scripted model reads the first line and the `Command:` lines, see
 * server/gateway/demo/decide.ts.
 */
export type FailedCheck = { name: string; command: string; exitCode: number | null; log: string };

const LOG_CHARS_MAX = 6_000;
const ALL_LOGS_CHARS_MAX = 20_000;

export function failureMessage(commitSha: string, failed: readonly FailedCheck[]): string {
  const charsMax = Math.min(LOG_CHARS_MAX, Math.floor(ALL_LOGS_CHARS_MAX / Math.max(1, failed.length)));
  const names = failed.map(({ name }) => name).join(', ');
  const heading = failed.length === 1 ? 'Check failed' : 'Checks failed';
  return [
    `${heading} for commit ${commitSha.slice(0, 12)}: ${names}`,
    'Your pushed commit was checked in a fresh machine. Find the cause, fix it, run the check here, then commit and push to your branch.',
    ...failed.map((check) => sectionOf(check, charsMax)),
  ].join('\n\n');
}

function sectionOf({ name, command, exitCode, log }: FailedCheck, charsMax: number): string {
  const lines = [`## ${name}`, `Command: ${command.replaceAll('\n', ' ')}`, `Exit code: ${exitCode ?? 'none, it was ended'}`];
  const shown = lastLines(withoutColours(log), charsMax);
  return [...lines, shown === '' ? 'It printed nothing.' : `End of its output:\n${shown}`].join('\n');
}

/** The end of a text, from the start of a line. */
function lastLines(text: string, charsMax: number): string {
  const trimmed = text.trim();
  if (trimmed.length <= charsMax) return trimmed;
  const cut = trimmed.slice(-charsMax);
  return cut.slice(cut.indexOf('\n') + 1);
}

function withoutColours(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: terminal colours start with ESC
  return text.replaceAll(/\u001b\[[0-9;?]*[A-Za-z]/g, '');
}
