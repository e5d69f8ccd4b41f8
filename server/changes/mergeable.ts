import type { ChangeState, CheckState } from '../../prisma/generated/client.ts';
import { GitError, tryGit } from '../forge/git.ts';
import { isObjectName } from '../forge/refs.ts';

/** Whether git can merge two commits by itself. */
export type MergeTree = { kind: 'clean'; treeSha: string } | { kind: 'conflicts'; files: string[] };

/** Tries a merge without touching anything. @throws GitError when a commit does not exist */
export async function tryMerge(gitDir: string, baseSha: string, headSha: string): Promise<MergeTree> {
  const args = ['merge-tree', '--write-tree', '-z', '--name-only', '--no-messages', '--end-of-options', baseSha, headSha];
  const { exitCode, stdout, stderr } = await tryGit(args, { gitDir });
  const [treeSha = '', ...files] = stdout.toString('utf8').split('\0').filter(Boolean);
  if (exitCode === 0 && isObjectName(treeSha)) return { kind: 'clean', treeSha };
  if (exitCode === 1) return { kind: 'conflicts', files: [...new Set(files)] };
  throw new GitError(`git merge-tree exited with ${exitCode}`, { exitCode, stderr });
}

export type MergeFacts = {
  state: ChangeState;
  conflicts: string[];
  /** Of the newest commit. */
  checks: { name: string; state: CheckState }[];
  requirePassingChecks: boolean;
};

/** `reason` says why it is not, or, when it is, what the person should know first. */
export type Mergeable = { ok: boolean; reason: string | null };

/** May this change be merged as it stands? Checks that have not passed are a warning unless the organization's policy demands them. */
export function decideMergeable({ state, conflicts, checks, requirePassingChecks }: MergeFacts): Mergeable {
  if (state !== 'open') return { ok: false, reason: `The change is ${state}.` };
  if (conflicts.length > 0) return { ok: false, reason: `It conflicts with the default branch in ${listed(conflicts)}.` };
  const named = (states: CheckState[]) => checks.filter((check) => states.includes(check.state)).map(({ name }) => name);
  const failed = named(['failed', 'errored']);
  const pending = named(['queued', 'running']);
  const notes = [
    failed.length > 0 ? `${listed(failed)} did not pass.` : null,
    pending.length > 0 ? `${listed(pending)} ${pending.length === 1 ? 'has' : 'have'} not finished.` : null,
  ].filter((note) => note !== null);
  if (notes.length === 0) return { ok: true, reason: null };
  return { ok: !requirePassingChecks, reason: notes.join(' ') };
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, 5);
  return names.length > shown.length ? `${shown.join(', ')} and ${names.length - shown.length} more` : shown.join(', ');
}
