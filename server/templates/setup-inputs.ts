import { createHash } from 'node:crypto';
import { describeProblems, type Environment } from '../environments/environment.ts';
import { git } from '../forge/git.ts';
import { environmentAt } from '../repositories/environment-at.ts';

/** What a template is made from. Two commits with the same fingerprint can share one. */
export type SetupInputs = { environment: Environment; fingerprint: string };
export type SetupInputsResult = { ok: true; inputs: SetupInputs } | { ok: false; problem: string };

/** Files at the repository's root that say which dependencies set-up installs. */
const LOCK_FILES = [
  'package-lock.json',
  'npm-shrinkwrap.json',
  'pnpm-lock.yaml',
  'yarn.lock',
  'bun.lock',
  'requirements.txt',
  'poetry.lock',
  'uv.lock',
  'Pipfile.lock',
  'go.sum',
  'Cargo.lock',
  'Gemfile.lock',
  'composer.lock',
  'gradle.lockfile',
];

/** Reads a commit's environment and lock files. @throws GitError when the commit is not there */
export async function setupInputsAt(gitDir: string, sha: string): Promise<SetupInputsResult> {
  const parsed = await environmentAt(gitDir, sha);
  if (!parsed.ok) return { ok: false, problem: describeProblems(parsed.problems) };
  const { environment } = parsed;
  const { image, packages, setup, size } = environment;
  const locks = await git(['ls-tree', '--full-tree', sha, '--', ...LOCK_FILES], { gitDir });
  const fingerprint = createHash('sha256')
    .update(JSON.stringify([image, packages, setup, size, locks]))
    .digest('hex');
  return { ok: true, inputs: { environment, fingerprint } };
}
