/**
 * What a person wants to see of a message that Warren wrote for the agent: its first line and, of a review comment, the
 * words of the reviewer, which it quotes. Everything it says stays readable below.
 */
export function splitMessage(kind: string, text: string): { summary: string; quoted: string | null; whole: string | null } {
  if (kind !== 'check_failed' && kind !== 'review_comment') return { summary: text, quoted: null, whole: null };
  const lines = text.split('\n');
  const quoted = lines
    .filter((line) => line.startsWith('> '))
    .map((line) => line.slice(2))
    .join('\n');
  const summary = lines[0]!.replace(/^Review comment on /, 'On ');
  return { summary, quoted: quoted === '' ? null : quoted, whole: text };
}
