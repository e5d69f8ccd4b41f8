/**
 * What a person wants to see of a message that Warren wrote for the agent: its first line and, of a review comment, the
 * words of the reviewer, which it quotes. Everything it says stays readable below.
 */
export function splitMessage(kind: string, text: string): { summary: string; quoted: string | null; whole: string | null } {
  if (kind !== 'check_failed' && kind !== 'review_comment') return { summary: text, quoted: null, whole: null };
  const lines = text.split('\n');
  const summary = lines[0]!.replace(/^Review comment on /, 'On ');
  // A check's log may hold such lines of its own: npm prints its commands that way.
  const quoted = kind === 'review_comment' ? lines.filter((line) => line.startsWith('> ')).map((line) => line.slice(2)) : [];
  return { summary, quoted: quoted.length > 0 ? quoted.join('\n') : null, whole: text };
}
