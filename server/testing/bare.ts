import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll } from 'vitest';
import { git, identityEnv } from '../forge/git.ts';

export type Files = Record<string, string | Buffer | null>;

/** A repository of a test's own, without a server: commits are made from files given as text. */
export function openBareRepository() {
  const dir = mkdtempSync(path.join(tmpdir(), 'warren-bare-'));
  const gitDir = path.join(dir, 'repository.git');
  const worktree = path.join(dir, 'worktree');
  mkdirSync(worktree);
  afterAll(() => rmSync(dir, { recursive: true, force: true }));
  const env = { GIT_WORK_TREE: worktree, ...identityEnv({ name: 'Test', email: 'test@localhost' }, '2026-11-24T00:00:00Z') };
  let ready: Promise<unknown> | null = null;

  /** Commits these files on top of the last commit (null deletes one) and returns the commit. */
  const commit = async (files: Files): Promise<string> => {
    ready ??= git(['init', '--quiet', '--bare', '--template=', '--initial-branch=main', '--', gitDir]);
    await ready;
    for (const [name, content] of Object.entries(files)) {
      const file = path.join(worktree, name);
      mkdirSync(path.dirname(file), { recursive: true });
      if (content === null) rmSync(file);
      else writeFileSync(file, content);
    }
    await git(['add', '--all', '--', '.'], { gitDir, env });
    await git(['commit', '--quiet', '--allow-empty', '-m', 'A commit'], { gitDir, env });
    return (await git(['rev-parse', 'HEAD'], { gitDir })).trim();
  };
  return { gitDir, commit };
}
