import { describeProblems } from '../environments/environment.ts';
import { environmentAt } from '../repositories/environment-at.ts';

/** `headProblem` says why no checks could be made for the head; null when its environment can be read. */
export type ExpectedChecks = { required: { name: string; command: string }[]; headProblem: string | null };

/**
 * What a change must pass: the checks its base has now, since those of its own commit are whatever its author wrote there. A base whose
 * own file cannot be read asks for none: a change that repairs it must be mergeable.
 */
export async function expectedChecks(gitDir: string, { baseSha, headSha }: { baseSha: string; headSha: string }) {
  const [base, head] = await Promise.all([environmentAt(gitDir, baseSha), environmentAt(gitDir, headSha)]);
  return {
    required: base.ok ? base.environment.checks : [],
    headProblem: head.ok ? null : describeProblems(head.problems.slice(0, 1)),
  } satisfies ExpectedChecks;
}
