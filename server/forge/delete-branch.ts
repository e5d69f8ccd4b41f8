import { git, tryGit } from './git.ts';
import { repositoryDir } from './layout.ts';
import { isBranchName } from './refs.ts';

export type BranchRef = { orgId: string; repositoryId: string; branch: string };

/**
 * Removes the branch of a session that has ended. Its commits stay readable under a ref of ours that machines do not see,
 * so that the record of an unmerged change survives. Safe to repeat.
 *
 * @throws GitError when the repository cannot be written
 */
export async function deleteSessionBranch(forgeDir: string, { orgId, repositoryId, branch }: BranchRef): Promise<void> {
  if (!branch.startsWith('warren/') || !isBranchName(branch)) throw new Error(`${branch} is not the branch of a session`);
  const gitDir = repositoryDir(forgeDir, orgId, repositoryId);
  const found = await tryGit(['rev-parse', '--verify', '--quiet', '--end-of-options', `refs/heads/${branch}`], { gitDir });
  if (found.exitCode !== 0) return;
  const sha = found.stdout.toString().trim();
  await git(['update-ref', `${KEPT_REFS}/${branch}`, sha], { gitDir });
  await git(['update-ref', '-d', `refs/heads/${branch}`, sha], { gitDir });
}

/** Where commits of ended sessions are kept; hidden from every fetch and push. */
export const KEPT_REFS = 'refs/kept';
