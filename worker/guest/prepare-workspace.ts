import { GUEST } from '../../hostd/contract/machines.ts';
import type { Guest } from './run-script.ts';
import { runScript } from './run-script.ts';

/** Where the guest finds its repository; the credential is added outside. */
export function originUrl(orgSlug: string, repositorySlug: string): string {
  return `http://git.warren.internal/${orgSlug}/${repositorySlug}.git`;
}

const GIT_MS_MAX = 5 * 60_000;

/** Clones into the empty workspace and checks the commit out. */
export async function cloneWorkspace(guest: Guest, origin: string, commitSha: string): Promise<void> {
  const script = `
set -eu
cd ${GUEST.workspace}
if [ ! -d .git ]; then git init --quiet . && git remote add origin "$1"; fi
git fetch --quiet origin
git checkout --quiet --detach "$2"
git remote set-head origin --auto >/dev/null 2>&1 || :
`;
  await runScript(guest, 'clone-workspace', script, { args: [origin, commitSha], timeoutMs: GIT_MS_MAX });
}

/** The session's branch at its base commit. Run again, it leaves a branch that is there alone. */
export async function prepareBranch(guest: Guest, branch: string, baseSha: string): Promise<void> {
  const script = `
set -eu
cd ${GUEST.workspace}
if git rev-parse --quiet --verify "refs/heads/$1" >/dev/null; then exit 0; fi
git cat-file -e "$2^{commit}" 2>/dev/null || git fetch --quiet origin
git switch --quiet --create "$1" "$2"
`;
  await runScript(guest, 'prepare-branch', script, { args: [branch, baseSha], timeoutMs: GIT_MS_MAX });
}

/** A commit that was pushed, checked out as it is for a check. */
export async function checkoutCommit(guest: Guest, commitSha: string): Promise<void> {
  const script = `
set -eu
cd ${GUEST.workspace}
git cat-file -e "$1^{commit}" 2>/dev/null || git fetch --quiet origin "$1"
git checkout --quiet --force --detach "$1"
`;
  await runScript(guest, 'checkout-commit', script, { args: [commitSha], timeoutMs: GIT_MS_MAX });
}
