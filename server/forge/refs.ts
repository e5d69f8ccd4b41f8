/*
 * What may be handed to git as a revision. git has its own language of revisions (`a..b`, `@{-1}`, `:path`, `--option`);
 * only plain branch names and object names get past here.
 */
const OBJECT_NAME = /^[0-9a-f]{40}$/;
const BRANCH = /^(?![/.-])[A-Za-z0-9._/-]{1,200}$/;

export function isObjectName(text: string): boolean {
  return OBJECT_NAME.test(text);
}

/** A branch name without `refs/heads/`, in a stricter alphabet than git's own. */
export function isBranchName(text: string): boolean {
  if (!BRANCH.test(text)) return false;
  if (text.includes('..') || text.includes('//') || text.endsWith('/') || text.endsWith('.')) return false;
  return text.split('/').every((part) => !part.startsWith('.') && !part.endsWith('.lock'));
}

/** A file's path inside a tree: relative and normal, as git has it; the empty path is the root. */
export function isTreePath(path: string): boolean {
  if (path === '') return true;
  if (path.length > 1000 || path.includes('\0')) return false;
  return path.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
}

/** The branch a session may push, and the only one. */
export function sessionBranch(sessionId: string): string {
  return `warren/${sessionId}`;
}

export const NO_OBJECT = '0'.repeat(40);
