import type { ChangeState, CheckState } from '../../prisma/generated/client.ts';
import { ENVIRONMENT_PATH } from '../environments/environment.ts';
import { GitError, tryGit } from '../forge/git.ts';
import { isObjectName } from '../forge/refs.ts';
import type { ExpectedChecks } from './expected-checks.ts';

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

export type MergeFacts = ExpectedChecks & {
  state: ChangeState;
  conflicts: string[];
  /** The branch it is merged into. */
  base: string;
  /** Of the newest commit. */
  checks: { name: string; command: string; state: CheckState }[];
  requirePassingChecks: boolean;
};

/** `reason` says why it is not, or, when it is, what the person should know first. */
export type Mergeable = { ok: boolean; reason: string | null };

/**
 * May this change be merged as it stands? Checks that have not passed, or that its base has and nobody ran, are a warning unless the
 * organization's policy demands them.
 */
export function decideMergeable(facts: MergeFacts): Mergeable {
  const { state, conflicts, requirePassingChecks } = facts;
  if (state !== 'open') return { ok: false, reason: `The change is ${state}.` };
  if (conflicts.length > 0) return { ok: false, reason: `It conflicts with the default branch in ${listed(conflicts)}.` };
  const lacking = whatIsLacking(facts);
  const notes = [...lacking, ...whatIsChanged(facts)];
  return { ok: lacking.length === 0 || !requirePassingChecks, reason: notes.join(' ') || null };
}

const SETTLED_OR_ON_ITS_WAY: readonly CheckState[] = ['passed', 'failed', 'errored', 'queued', 'running'];

function whatIsLacking({ base, checks, required, headProblem }: MergeFacts): string[] {
  const named = (states: readonly CheckState[]) => checks.filter((check) => states.includes(check.state)).map(({ name }) => name);
  const failed = named(['failed', 'errored']);
  const pending = named(['queued', 'running']);
  const known = new Set(named(SETTLED_OR_ON_ITS_WAY));
  const missing = required.map(({ name }) => name).filter((name) => !known.has(name));
  const notes: string[] = [];
  if (failed.length > 0) notes.push(`${listed(failed)} did not pass.`);
  if (pending.length > 0) notes.push(`${listed(pending)} ${pending.length === 1 ? 'has' : 'have'} not finished.`);
  if (headProblem !== null) {
    notes.push(`No checks were run: ${headProblem}. Correct the file and push.`);
  } else if (missing.length > 0) {
    notes.push(
      `${listed(missing)} of ${base} ${missing.length === 1 ? 'was' : 'were'} not run. Merge ${base} into its branch, keep what ${ENVIRONMENT_PATH} has there, and push.`,
    );
  }
  return notes;
}

/** A check is the command that the commit itself names: one that checks nothing has the old name. */
function whatIsChanged({ base, checks, required }: MergeFacts): string[] {
  const changed = required.filter(({ name, command }) =>
    checks.some((check) => check.name === name && check.command !== command && check.state !== 'superseded'),
  );
  if (changed.length === 0) return [];
  const names = listed(changed.map(({ name }) => name));
  return [`${names} ${changed.length === 1 ? 'runs another command' : 'run other commands'} than on ${base}.`];
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, 5);
  return names.length > shown.length ? `${shown.join(', ')} and ${names.length - shown.length} more` : shown.join(', ');
}
