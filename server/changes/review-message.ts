/*
 * What the agent is told about a review comment. The scripted model reads the first line and the quoted body, see
 * server/gateway/demo/review-comment.ts.
 */
export type ReviewFacts = {
  authorName: string;
  body: string;
  /** As commented on. */
  path: string;
  line: number;
  lineText: string;
  /** Lines around it at that commit. */
  around: string;
  /** Where the line is at the branch's newest commit; null when it was changed since. Equal to path and line when nothing moved. */
  now: { path: string; line: number } | null;
  /** Earlier comments of the thread, oldest first. */
  earlier: { authorName: string; body: string }[];
};

export function reviewMessage(facts: ReviewFacts): string {
  const { authorName, body, path, line, lineText, around, now, earlier } = facts;
  const place = now ?? { path, line };
  return [
    `Review comment on ${place.path.replaceAll(/\s/g, ' ')}, line ${place.line}${now ? '' : ' (as of an older commit; that line has changed since)'}`,
    `The line:\n${indent(lineText)}`,
    around === '' ? null : `Around it:\n${indent(around)}`,
    earlier.length === 0
      ? null
      : `Said before on this thread:\n${earlier.map((comment) => `${comment.authorName}: ${comment.body}`).join('\n')}`,
    `${authorName} wrote:\n${quote(body)}`,
    'Do what is asked if it makes sense, commit and push to your branch. The last thing you say in this turn is posted as your reply on the thread.',
  ]
    .filter((part) => part !== null)
    .join('\n\n');
}

function indent(text: string): string {
  return text
    .split('\n')
    .map((line) => `    ${line}`)
    .join('\n');
}

function quote(text: string): string {
  return text
    .trim()
    .split('\n')
    .map((line) => `> ${line}`)
    .join('\n');
}
